//! What can go wrong, by name, and how likely each is in a run.
//!
//! Swarm testing (Groce et al., ISSTA 2012): the probabilities are drawn anew for each seed, and
//! many are zero. A run in which everything goes wrong all the time never gets far enough to meet
//! what needs one rare fault in an otherwise healthy world.

use std::fmt;

use crate::random::Random;

/// Defines an enum together with the list of its variants.
macro_rules! listed {
    ($(#[$outer:meta])* $name:ident { $($(#[$inner:meta])* $variant:ident,)* }) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($(#[$inner])* $variant,)* }

        impl $name {
            pub const ALL: &[$name] = &[$($name::$variant,)*];
        }
    };
}
pub(crate) use listed;

listed! {
    /// One thing that may happen each time there is an occasion for it.
    Fault {
        /// An event is told a while after it happened.
        EventLate,
        /// An event is told twice.
        EventTwice,
        /// An event tells of readiness that is not there.
        EventHint,
        /// An event is told to a socket that is gone, or to none.
        EventStale,
        /// The facts of one event come one by one.
        EventApart,
        /// A poll returns before its time, even with nothing.
        PollEarly,
        /// A poll tells few of the events that are there; the rest comes with the next.
        PollFew,
        /// A read gives fewer bytes than are there.
        ReadPart,
        /// A read blocks although bytes are there; an event follows.
        ReadBlocks,
        /// A write takes fewer bytes than there is room for.
        WritePart,
        /// A write blocks although there is room; an event follows.
        WriteBlocks,
        /// A splice moves fewer bytes than are there and find room.
        SplicePart,
        /// A splice blocks although there are bytes and room; an event follows.
        SpliceBlocks,
        /// No pipe: no descriptor, no memory, or not for this user.
        PipeShortage,
        /// A byte out of band is sent, before which reads stop.
        UrgentByte,
        /// The last byte before an end or a reset is one, and an event tells of neither at first.
        UrgentEnd,
        /// Fewer bytes arrive at once than could.
        SegmentSmall,
        /// A dial fails at once.
        DialFailsAtOnce,
        /// A dial fails later.
        DialFailsLater,
        /// A dial is never decided.
        DialSilent,
        /// A dial succeeds at once, as over loopback.
        DialSucceedsAtOnce,
        /// A server resets at once, after a few words or none.
        DialBreaks,
        /// A dial meets its own socket.
        DialMeetsItself,
        /// No descriptor or memory for a dial.
        DialShortage,
        /// A client is gone before it is accepted.
        AcceptAborted,
        /// No descriptor or memory to accept, or another error that may last.
        AcceptShortage,
        /// Accepting blocks although a client waits; an event follows.
        AcceptBlocks,
        /// A peer resets its connection after some bytes.
        PeerResets,
        /// A peer breaks off at any time: resets, or is silent until the kernel gives it up.
        PeerVanishes,
        /// A peer does nothing for a long while, or until the end.
        PeerStalls,
        /// An endpoint goes down or comes back.
        EndpointFlaps,
        /// The process was stopped for a while.
        ClockJumps,
        /// The clock is read a while after the poll returned.
        ClockLate,
        /// Many clients come at once.
        ClientBurst,
        /// The process is asked to end, once or twice.
        Terminated,
        /// There are few descriptors, all the time.
        DescriptorsFew,
        /// The kernel, or a sandbox, refuses to splice, all the time.
        SpliceRefused,
        /// A question to a name server is lost.
        QueryLost,
        /// An answer is lost.
        AnswerLost,
        /// An answer comes late, perhaps when it is no longer waited for.
        AnswerLate,
        /// An answer comes twice.
        AnswerTwice,
        /// Before the answer come others, to another id or question, once or many times.
        AnswerForged,
        /// An answer is cut to fit a datagram, and what is left of it is wrong.
        AnswerCut,
        /// An answer is damaged: cut, flipped, made of loops, or no answer at all.
        AnswerDamaged,
        /// An answer has a random part of what there is.
        AnswerInPart,
        /// An answer names addresses where no server can be, with the others or in their place.
        AnswerBlocked,
        /// A name server answers that it cannot, or will not.
        ServerFails,
        /// A name server goes silent, refuses everything, or comes back.
        ServerFlaps,
        /// No descriptor or memory for a question.
        QuestionShortage,
        /// A question cannot be sent.
        QuestionUnsent,
        /// A name server refuses a stream, at once or later.
        StreamRefused,
        /// A stream to a name server breaks or ends in the middle of the answer.
        StreamBreaks,
        /// A stream to a name server takes and gives one byte at a time.
        StreamTrickles,
        /// What the name servers say changes.
        ZoneChanges,
        /// resolv.conf changes.
        ConfigurationChanges,
        /// /etc/hosts is written anew while it is read.
        HostsChange,
        /// A handshake gets no answer.
        HandshakeStalls,
        /// A handshake shows that the server is not to be trusted.
        HandshakeFails,
        /// The connection is lost during a handshake.
        HandshakeBreaks,
        /// A member of etcd comes into another state.
        MemberChanges,
        /// The answer to a check breaks off.
        CheckBreaks,
        /// A server ends a connection of checks at a moment of its own.
        CheckIsCut,
        /// The answer to a check is late, perhaps too late.
        CheckLate,
        /// A connection of checks takes and gives a few bytes at a time.
        CheckTrickles,
        /// The etcd that names the endpoints changes: its members, or what is the matter with them.
        ClusterChanges,
        /// The keys of a registry change.
        KeysChange,
        /// A member refuses a question about endpoints.
        EtcdRefuses,
        /// A member refuses a watch in the message that says that it has begun.
        WatchRefused,
        /// A member tells late what is new.
        WatchLags,
        /// What a member says about endpoints breaks off.
        LineBreaks,
        /// A member ends a connection at a moment of its own.
        LineIsCut,
        /// What a member says about endpoints is late, perhaps too late.
        LineLate,
        /// A connection to such a member takes and gives a few bytes at a time.
        LineTrickles,
        /// The clock goes on while guests are served.
        ClockCreeps,
    }
}

/// Those that strike only where endpoints have names are from here on.
const NAMES_BEGIN: usize = Fault::SpliceRefused as usize + 1;

/// Those that strike only where endpoints are checked are from here on.
const CHECKS_BEGIN: usize = Fault::HandshakeBreaks as usize + 1;

/// Those that strike only where etcd names the endpoints are from here on.
const FOLLOWED_BEGIN: usize = Fault::CheckTrickles as usize + 1;

/// Those that strike only where there is an admin side are from here on.
const GUESTS_BEGIN: usize = Fault::LineTrickles as usize + 1;

/// How likely each fault is, in thousandths, and how often it struck.
#[derive(Clone, Debug)]
pub struct Faults {
    thousandths: [u32; FAULTS],
    pub struck: [u64; FAULTS],
}

/// Those that have one occasion in a run, or few, so that a small probability would mean none.
const SELDOM: [Fault; 6] = [
    Fault::ClientBurst,
    Fault::Terminated,
    Fault::DescriptorsFew,
    Fault::SpliceRefused,
    Fault::PipeShortage,
    Fault::UrgentEnd,
];

/// Those without which there would be little to find out.
const OFTEN: [Fault; 7] = [
    Fault::ZoneChanges,
    Fault::ServerFlaps,
    Fault::ConfigurationChanges,
    Fault::MemberChanges,
    Fault::ClusterChanges,
    Fault::KeysChange,
    Fault::ClockCreeps,
];

const FAULTS: usize = Fault::ALL.len();

impl Faults {
    pub fn none() -> Faults {
        Faults { thousandths: [0; FAULTS], struck: [0; FAULTS] }
    }

    /// The faults of one run.
    pub fn swarm(random: &mut Random) -> Faults {
        let mut faults = Faults::none();
        faults.draw(&Fault::ALL[..NAMES_BEGIN], random);
        faults
    }

    /// And those of a run with names.
    pub fn swarm_names(&mut self, random: &mut Random) {
        self.draw(&Fault::ALL[NAMES_BEGIN..CHECKS_BEGIN], random);
    }

    /// And those of a run with checks.
    pub fn swarm_checks(&mut self, random: &mut Random) {
        self.draw(&Fault::ALL[CHECKS_BEGIN..FOLLOWED_BEGIN], random);
    }

    /// And those of a run in which etcd names the endpoints.
    pub fn swarm_followed(&mut self, random: &mut Random) {
        self.draw(&Fault::ALL[FOLLOWED_BEGIN..GUESTS_BEGIN], random);
    }

    /// And those of a run with an admin side.
    pub fn swarm_guests(&mut self, random: &mut Random) {
        self.draw(&Fault::ALL[GUESTS_BEGIN..], random);
    }

    fn draw(&mut self, among: &[Fault], random: &mut Random) {
        let how = random.below(10);
        let only = random.one_of(among);
        for fault in among {
            self.thousandths[*fault as usize] = match how {
                _ if SELDOM.contains(fault) => random.one_of(&[0, 0, 300]),
                _ if OFTEN.contains(fault) => random.one_of(&[0, 300, 700]),
                0 => 0,
                1 | 2 => 500 * u32::from(*fault == only),
                3 => 10,
                _ => random.one_of(&[0, 0, 0, 0, 5, 20, 100, 300]),
            };
        }
    }

    /// From now on it strikes every time.
    pub fn always(&mut self, fault: Fault) {
        self.thousandths[fault as usize] = 1000;
    }

    /// It does not strike in this run.
    pub fn never(&mut self, fault: Fault) {
        self.thousandths[fault as usize] = 0;
    }

    /// From now on all is well.
    pub fn stop(&mut self) {
        self.thousandths.fill(0);
    }

    /// Whether it happens this time.
    pub fn strike(&mut self, fault: Fault, random: &mut Random) -> bool {
        let strikes = random.chance(self.thousandths[fault as usize]);
        self.struck[fault as usize] += u64::from(strikes);
        strikes
    }
}

impl fmt::Display for Faults {
    /// Those that may strike, and how likely.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (fault, thousandths) in Fault::ALL.iter().zip(self.thousandths) {
            if thousandths > 0 {
                write!(f, "{fault:?} {thousandths}, ")?;
            }
        }
        Ok(())
    }
}
