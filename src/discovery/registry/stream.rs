//! The answer to a watch as it comes: bytes in, messages out. Pure.

use super::problem::Problem;
use crate::config::ETCD_ANSWER_BYTES_MAX;
use crate::proto::etcd::splitter::Splitter;
use crate::proto::etcd::watch::{self, Message};

/// The answer so far.
#[derive(Debug)]
pub(super) struct Stream {
    prefix: Vec<u8>,
    status: Option<u16>,
    splitter: Splitter,
}

impl Stream {
    /// Nothing has come.
    pub(super) fn new(prefix: &[u8]) -> Stream {
        let splitter = Splitter::new(ETCD_ANSWER_BYTES_MAX);
        Stream { prefix: prefix.to_vec(), status: None, splitter }
    }

    /// Takes the status.
    pub(super) fn take_status(&mut self, status: u16) {
        self.status = Some(status);
    }

    /// Takes bytes from the front of `bytes` until a message ends; `None` for no further one. Also
    /// of an answer with another status than 200, which says why by a message.
    pub(super) fn next(&mut self, bytes: &mut &[u8]) -> Result<Option<Message>, Problem> {
        let message = self.splitter.next(bytes).and_then(|message| match message {
            Some(message) => watch::parse(&message, &self.prefix).map(Some),
            None => Ok(None),
        });
        message.map_err(|malformed| match self.status {
            Some(status) if status != 200 => Problem::Status(status),
            _ => Problem::Malformed(malformed),
        })
    }

    /// The meaning of its end.
    pub(super) fn end(&self) -> Problem {
        match self.status {
            Some(status) if status != 200 => Problem::Status(status),
            _ => Problem::WatchEnded,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::etcd::failure::FailureKind;

    /// The kinds of messages of an answer in these parts, and what ends it.
    fn read(status: u16, parts: &[&str]) -> (String, Problem) {
        let mut stream = Stream::new(b"svc/");
        stream.take_status(status);
        let mut kinds = String::new();
        for part in parts {
            let mut bytes = part.as_bytes();
            loop {
                match stream.next(&mut bytes) {
                    Ok(None) => break,
                    Ok(Some(Message::Created(_))) => kinds.push('c'),
                    Ok(Some(Message::Events { .. })) => kinds.push('e'),
                    Ok(Some(Message::Progress(_))) => kinds.push('p'),
                    Ok(Some(Message::Failed(failure) | Message::Canceled(failure))) => {
                        return (kinds, Problem::Refused(failure.kind));
                    }
                    Ok(Some(Message::Compacted { .. })) => kinds.push('x'),
                    Err(problem) => return (kinds, problem),
                }
            }
        }
        (kinds, stream.end())
    }

    const CREATED: &str =
        r#"{"result":{"header":{"cluster_id":"1","member_id":"2"},"created":true}}"#;
    const PROGRESS: &str = r#"{"result":{"header":{"cluster_id":"1","member_id":"2"}}}"#;

    #[test]
    fn a_message_may_come_in_any_parts() {
        let text = format!("{CREATED}\n{PROGRESS}{PROGRESS}\n");
        for at in 0..text.len() {
            let (first, rest) = text.split_at(at);
            assert_eq!(read(200, &[first, rest]), ("cpp".to_owned(), Problem::WatchEnded));
        }
    }

    #[test]
    fn an_answer_that_is_refused_says_why() {
        let body = r#"{"error":{"grpc_code":14,"message":"etcdserver: no leader"}}"#;
        let refused = Problem::Refused(FailureKind::NoLeader);
        assert_eq!(read(503, &[body]), (String::new(), refused));
        assert_eq!(read(200, &[CREATED, body]), ("c".to_owned(), refused));
        assert_eq!(read(404, &["404 page not found\n"]), (String::new(), Problem::Status(404)));
        assert_eq!(read(502, &[]), (String::new(), Problem::Status(502)));
        let malformed = Problem::Malformed(crate::proto::etcd::Malformed::NotJson);
        assert_eq!(read(200, &["<html>"]), (String::new(), malformed));
    }
}
