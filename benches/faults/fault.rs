//! The faults of the table: which member each hits, how it begins and how it ends.

use std::time::Duration;

use super::util::{RemoteCluster, Role};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Killed,
    Stopped,
    LeaderStopped,
    CutFromPeers,
    LeaderCutFromPeers,
    CutFromGateway,
    Learner,
    QuorumLost,
    EmptyDisk,
}

impl Fault {
    pub const ALL: [Fault; 9] = [
        Fault::Killed,
        Fault::Stopped,
        Fault::LeaderStopped,
        Fault::CutFromPeers,
        Fault::LeaderCutFromPeers,
        Fault::CutFromGateway,
        Fault::Learner,
        Fault::QuorumLost,
        Fault::EmptyDisk,
    ];

    /// As the command line calls it.
    pub fn word(self) -> &'static str {
        match self {
            Fault::Killed => "killed",
            Fault::Stopped => "stopped",
            Fault::LeaderStopped => "leader-stopped",
            Fault::CutFromPeers => "cut-from-peers",
            Fault::LeaderCutFromPeers => "leader-cut-from-peers",
            Fault::CutFromGateway => "cut-from-gateway",
            Fault::Learner => "learner",
            Fault::QuorumLost => "quorum-lost",
            Fault::EmptyDisk => "empty-disk",
        }
    }

    /// As the report calls it.
    pub fn text(self) -> &'static str {
        match self {
            Fault::Killed => "follower killed (SIGKILL), not started again",
            Fault::Stopped => "follower stopped (SIGSTOP), then continued",
            Fault::LeaderStopped => "leader stopped (SIGSTOP), then continued",
            Fault::CutFromPeers => "follower cut off from its peers, not from the gateway",
            Fault::LeaderCutFromPeers => "leader cut off from its peers, not from the gateway",
            Fault::CutFromGateway => "follower cut off from the gateway's host, not from its peers",
            Fault::Learner => "follower removed, and back at its address as a learner",
            Fault::QuorumLost => "the two others killed, then started again",
            Fault::EmptyDisk => "follower killed, its disk emptied; removed, added, started again",
        }
    }

    /// From its begin until it is mended, or until the round ends where nothing is to be mended.
    pub fn hold(self) -> Duration {
        Duration::from_secs(match self {
            Fault::Stopped | Fault::LeaderStopped => 90,
            Fault::CutFromPeers | Fault::LeaderCutFromPeers => 45,
            Fault::CutFromGateway => 70,
            Fault::Killed | Fault::Learner | Fault::QuorumLost | Fault::EmptyDisk => 20,
        })
    }

    /// The member that the clients are on.
    pub fn victim(self, cluster: &RemoteCluster) -> usize {
        let leader = cluster.wait_leader(&[0, 1, 2]);
        match self {
            Fault::LeaderStopped | Fault::LeaderCutFromPeers => leader,
            _ => (leader + 1) % 3,
        }
    }

    /// Begins it. Returns when all of it has happened, which for changes of the members takes some
    /// seconds.
    pub fn begin(self, cluster: &mut RemoteCluster, victim: usize) {
        match self {
            Fault::Killed => cluster.kill(victim),
            Fault::Stopped | Fault::LeaderStopped => cluster.stop(victim),
            Fault::CutFromPeers | Fault::LeaderCutFromPeers => cluster.cut_from_peers(victim),
            Fault::CutFromGateway => cluster.cut_from_home(victim),
            Fault::Learner => {
                cluster.remove(victim);
                cluster.wipe(victim);
                cluster.join(victim, Role::Learner);
            }
            Fault::QuorumLost => others(victim).for_each(|other| cluster.kill(other)),
            Fault::EmptyDisk => {
                cluster.kill(victim);
                cluster.wipe(victim);
                cluster.remove(victim);
                cluster.join(victim, Role::Voter);
            }
        }
    }

    /// Mends what can be mended.
    pub fn end(self, cluster: &mut RemoteCluster, victim: usize) {
        match self {
            Fault::Stopped | Fault::LeaderStopped => cluster.resume(victim),
            Fault::CutFromPeers | Fault::LeaderCutFromPeers => cluster.rejoin_peers(victim),
            Fault::CutFromGateway => cluster.rejoin_home(victim),
            Fault::QuorumLost => others(victim).for_each(|other| cluster.restart(other)),
            Fault::Killed | Fault::Learner | Fault::EmptyDisk => {}
        }
    }
}

fn others(victim: usize) -> impl Iterator<Item = usize> {
    (0..3).filter(move |index| *index != victim)
}
