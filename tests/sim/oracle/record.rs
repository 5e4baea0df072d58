//! Counts: what was seen in a run, and what the gateway's own counters are compared with.

use crate::faults::listed;

/// More operations than any turn needs, even byte by byte.
const OPERATIONS_PER_TURN_MAX: u64 = 2_000_000;
/// Polls without a wait, an event or any progress that are still no spin.
const IDLE_POLLS_MAX: u32 = 3;

listed! {
    /// Outcomes for clients, endpoints and pipes: a search that misses one of these is too weak.
    Seen {
        Completed,
        ResetPassedOn,
        BothLost,
        EndedHalfClosed,
        EndedOpen,
        EndedByDrain,
        ClientLostWhileDialed,
        EveryEndpointTried,
        NoEndpointToDial,
        ShortForTooLong,
        ShortAndServed,
        LastResortDial,
        LostBeforeTheLook,
        ProbeFailed,
        ProbeSucceeded,
        DialTimedOut,
        SecondChoice,
        OldFailureIgnored,
        FairnessChecked,
        BytesDelivered,
        EndInferred,
        Spliced,
        SplicedOutLater,
        BackToCopying,
        PipeOverfull,
        PipeFullOfSmallSegments,
        EndBeforeMark,
        CopiedForWantOfPipes,
        SpliceRefused,
        PipeReleased,
        PipeClosedWithBytes,
        SinkLostWithPipe,
        SourceLostWithPipe,
        SourceEndedWithPipe,
        DeferredOptionsSet,
        Answered,
        AnsweredByStream,
        EndpointCame,
        EndpointWent,
        LastKnownKept,
        DialMovedOn,
        WaitedAndDialed,
        WaitedForTooLong,
        HandshakeSucceeded,
        HandshakeFailed,
        HostsReadInTurns,
        HostsReadAnew,
        CameBackIll,
        DeadAskedFor,
        WildcardBelieved,
        WildcardPassedOver,
        CheckPassed,
        CheckFailed,
        CheckTimedOut,
        CheckOnKept,
        CheckRepeated,
        CheckSaidNothing,
        AskedOtherwise,
        BecamePassing,
        BecameFailing,
        FoundForeign,
        FailedOpen,
        LeftAsFailing,
        DialLeftAsFailing,
        ChecksRested,
        ListFollowed,
        OldListHeard,
        LeaderlessHeard,
        EmptyListHeard,
        RangeHeard,
        ChangesHeard,
        CompactionHeard,
        BadValueHeard,
        GuestAnswered,
        GuestAnsweredAtTheEnd,
        GuestGotMetrics,
        GuestHeadLate,
        GuestIdleForLong,
        GuestCutOff,
        GuestLingered,
        GuestEnded,
        GuestMadeRoom,
        GuestStalled,
        GuestConcluded,
        GuestWaited,
        GuestsShort,
        FoundReady,
        FoundNotReady,
        PayloadExact,
    }
}

#[derive(Debug)]
pub struct Record {
    pub seen: [u64; Seen::ALL.len()],
    /// Operations of the gateway in this turn.
    operations: u64,
    /// Dials for clients, and probes.
    pub dials: u64,
    pub probes: u64,
    /// Those of them that failed, and dials that lacked a descriptor or memory.
    pub dials_failed: u64,
    pub probes_failed: u64,
    /// Those of them whose endpoint went in the turn in which their time was over: they may have
    /// been abandoned instead.
    pub dials_left_at_most: u64,
    pub probes_left_at_most: u64,
    pub dials_short: u64,
    /// Health checks, and those of them that were passed or not.
    pub checks: u64,
    pub checks_passed: u64,
    pub checks_failed: u64,
    /// Clients closed unserved, and those of them for want of an endpoint or of our resources.
    pub unserved: u64,
    pub rejected: u64,
    /// Clients closed for nothing but the end of the drain, and those closed at it.
    pub cut: u64,
    pub cut_at_most: u64,
    /// Random numbers that the gateway asked for.
    pub randoms: u64,
    progress_before: u64,
    idle_polls: u32,
    had_events: bool,
}

impl Record {
    pub fn new() -> Record {
        Record {
            seen: [0; Seen::ALL.len()],
            operations: 0,
            dials: 0,
            probes: 0,
            dials_failed: 0,
            probes_failed: 0,
            dials_left_at_most: 0,
            probes_left_at_most: 0,
            dials_short: 0,
            checks: 0,
            checks_passed: 0,
            checks_failed: 0,
            unserved: 0,
            rejected: 0,
            cut: 0,
            cut_at_most: 0,
            randoms: 0,
            progress_before: 0,
            idle_polls: 0,
            had_events: false,
        }
    }

    pub fn saw(&mut self, what: Seen) {
        self.seen[what as usize] += 1;
    }

    /// How often that was seen.
    pub fn count(&self, what: Seen) -> u64 {
        self.seen[what as usize]
    }

    pub fn turn_begins(&mut self, has_events: bool) {
        self.operations = 0;
        self.had_events = has_events;
    }

    pub fn operation_begins(&mut self) {
        self.operations += 1;
        assert!(self.operations < OPERATIONS_PER_TURN_MAX, "a turn without end");
    }

    /// The gateway is about to poll, without a wait if `is_impatient`; `progress` is how many
    /// operations have brought something about so far.
    pub fn check_spin(&mut self, is_impatient: bool, progress: u64) {
        let is_idle = is_impatient && progress == self.progress_before && !self.had_events;
        self.progress_before = progress;
        self.idle_polls = if is_idle { self.idle_polls + 1 } else { 0 };
        assert!(self.idle_polls <= IDLE_POLLS_MAX, "it spins");
    }
}

/// Something that is counted anew in each turn.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PerTurn {
    turn: u64,
    count: u64,
}

impl PerTurn {
    /// Counts `more` of it in this turn. Gives the sum.
    pub(super) fn add(&mut self, turn: u64, more: u64) -> u64 {
        let before = if self.turn == turn { self.count } else { 0 };
        *self = PerTurn { turn, count: before + more };
        self.count
    }
}
