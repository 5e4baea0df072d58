//! What is measured: the loads, and how many clients make each.

use super::load::Pattern;
use super::peer::Kind;

/// Which table a load belongs to, and with it when it is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// The main table.
    Main,
    /// The echoes of the main table with other numbers of connections.
    Growth,
    /// Many connections, few of them busy, for a long time.
    Idle,
    /// Echoes by message size: only when asked for.
    Sweep,
}

/// One kind of load.
#[derive(Clone, Debug)]
pub struct Workload {
    pub group: Group,
    pub name: String,
    pub pattern: Pattern,
    pub clients: usize,
}

/// Bytes of the echoes that the main table and the growth are about.
pub const ECHO_BYTES: usize = 128;
/// Connections of the growth in addition to those of the main table.
const GROWTH_CLIENTS: [usize; 3] = [256, 2500, 5000];
/// Connections, and how many of them are busy at a time.
const IDLE: (usize, usize) = (5000, 50);
/// Answers after which a busy client lets another be busy.
const IDLE_ANSWERS: u32 = 100;
/// Sizes of messages, in KiB, in the sweep over sizes, after the one of the main table.
const SWEEP_KIBIBYTES: [usize; 9] = [1, 4, 8, 16, 24, 32, 64, 128, 256];
/// Connections in that sweep.
const SWEEP_CLIENTS: usize = 16;

impl Group {
    /// As the command line calls it.
    pub fn word(self) -> &'static str {
        match self {
            Group::Main => "main",
            Group::Growth => "growth",
            Group::Idle => "idle",
            Group::Sweep => "sweep",
        }
    }

    /// Whether this way is worth the time: where connections are many, they are many enough for
    /// those relays that are judged by them.
    pub fn includes(self, kind: Kind) -> bool {
        match self {
            Group::Main => true,
            Group::Growth | Group::Idle => kind.is_judged_by_connections(),
            Group::Sweep => matches!(kind, Kind::Floor(_) | Kind::Ours),
        }
    }
}

impl Workload {
    fn new(group: Group, name: String, pattern: Pattern, clients: usize) -> Workload {
        Workload { group, name, pattern, clients }
    }

    fn echo(group: Group, bytes: usize, clients: usize) -> Workload {
        let size = match bytes {
            0..1024 => format!("{bytes} B"),
            _ => format!("{} KiB", bytes / 1024),
        };
        let name = format!("echo {size}, {}", counted(clients, "connection"));
        Workload::new(group, name, Pattern::echo(bytes), clients)
    }

    fn bulk(name: &str, up: bool, down: bool, clients: usize) -> Workload {
        let name = format!("bulk {name}, {}", counted(clients, "flow"));
        Workload::new(Group::Main, name, Pattern::Bulk { up, down }, clients)
    }

    fn idle() -> Workload {
        let (clients, busy) = IDLE;
        let name = format!("echo {ECHO_BYTES} B, {busy} of {clients} connections busy");
        let pattern = Pattern::Echo { bytes: ECHO_BYTES, busy, answers: IDLE_ANSWERS };
        Workload::new(Group::Idle, name, pattern, clients)
    }

    /// All there are, in the order of the tables.
    pub fn all() -> Vec<Workload> {
        let visit = Pattern::Visit { bytes: 64 };
        let mut all = vec![
            Workload::echo(Group::Main, ECHO_BYTES, 1),
            Workload::echo(Group::Main, ECHO_BYTES, 64),
            Workload::echo(Group::Main, ECHO_BYTES, 1000),
            Workload::echo(Group::Main, 16 * 1024, 16),
            Workload::bulk("up", true, false, 1),
            Workload::bulk("up", true, false, 4),
            Workload::bulk("down", false, true, 1),
            Workload::bulk("down", false, true, 4),
            Workload::bulk("both ways", true, true, 1),
            Workload::bulk("both ways", true, true, 4),
            Workload::new(Group::Main, "connect + 64 B + close".to_owned(), visit, 8),
        ];
        all.extend(GROWTH_CLIENTS.map(|count| Workload::echo(Group::Growth, ECHO_BYTES, count)));
        all.push(Workload::idle());
        let bytes = SWEEP_KIBIBYTES.map(|kibibytes| kibibytes * 1024);
        let bytes = [ECHO_BYTES].into_iter().chain(bytes);
        all.extend(bytes.map(|bytes| Workload::echo(Group::Sweep, bytes, SWEEP_CLIENTS)));
        all
    }

    /// Whether what is counted is bytes.
    pub fn is_bulk(&self) -> bool {
        matches!(self.pattern, Pattern::Bulk { .. })
    }

    /// Whether this is the echo that the growth is about.
    pub fn is_plain_echo(&self) -> bool {
        self.pattern == Pattern::echo(ECHO_BYTES) && self.group != Group::Sweep
    }
}

fn counted(count: usize, word: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {word}{plural}")
}
