//! A reader of HTTP answers, by RFC 9112 alone: heads, and bodies in each framing. Knows nothing of
//! what was asked, but for whether an answer has a body.

/// The head of an answer.
#[derive(Clone, Debug)]
pub(super) struct AnswerHead {
    pub(super) status: u16,
    fields: Vec<(String, String)>,
}

impl AnswerHead {
    /// The value of a field that may come once.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let mut all = self.fields.iter().filter(|(known, _)| known == name);
        let found = all.next().map(|(_, value)| value.as_str());
        assert!(all.next().is_none(), "{name} twice: {self:?}");
        found
    }
}

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Length(usize),
    Chunked,
    UntilEnd,
}

/// What has come of the present answer.
#[derive(Debug, Default)]
enum State {
    #[default]
    Head,
    Body(Framing),
}

/// An answer that is whole.
#[derive(Debug)]
pub(super) struct WholeAnswer {
    pub(super) head: AnswerHead,
    pub(super) framing: Framing,
    pub(super) body: Vec<u8>,
}

#[derive(Debug, Default)]
pub(super) struct AnswerReader {
    /// What was not understood yet.
    bytes: Vec<u8>,
    state: State,
    head: Option<AnswerHead>,
    body: Vec<u8>,
}

impl AnswerReader {
    /// Whether an answer has begun that is not whole.
    pub(super) fn is_within(&self) -> bool {
        !self.bytes.is_empty() || self.head.is_some()
    }

    /// Takes bytes of one answer, `is_bodiless`: of a request that gets no body. The answer, once
    /// it is whole: with the last of the bytes.
    pub(super) fn take(&mut self, bytes: &[u8], is_bodiless: bool) -> Option<WholeAnswer> {
        self.bytes.extend_from_slice(bytes);
        if let State::Head = self.state {
            let end = self.bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
            let rest = self.bytes.split_off(end);
            let head = read_head(&std::mem::replace(&mut self.bytes, rest));
            let framing = framing(&head);
            self.head = Some(head);
            self.state = State::Body(framing);
        }
        let State::Body(framing) = self.state else { return None };
        if is_bodiless {
            assert_eq!(self.bytes.len(), 0, "a body where none may be");
            return Some(self.finish(framing));
        }
        let is_whole = match framing {
            Framing::Length(length) => {
                self.body.append(&mut self.bytes);
                assert!(self.body.len() <= length, "{} bytes of {length}", self.body.len());
                self.body.len() == length
            }
            Framing::UntilEnd => {
                self.body.append(&mut self.bytes);
                false
            }
            Framing::Chunked => self.take_chunks(),
        };
        is_whole.then(|| self.finish(framing))
    }

    /// The connection is shut: the end of a body that goes on until then.
    pub(super) fn end(&mut self) -> Option<WholeAnswer> {
        match self.state {
            State::Body(Framing::UntilEnd) => Some(self.finish(Framing::UntilEnd)),
            _ => None,
        }
    }

    fn finish(&mut self, framing: Framing) -> WholeAnswer {
        assert_eq!(self.bytes.len(), 0, "more than an answer");
        let AnswerReader { head, body, .. } = std::mem::take(self);
        WholeAnswer { head: head.expect("an answer with a head"), framing, body }
    }

    /// Takes the chunks that are whole. Whether the last one is among them.
    fn take_chunks(&mut self) -> bool {
        loop {
            let Some(line) = self.bytes.windows(2).position(|window| window == b"\r\n") else {
                return false;
            };
            let text = std::str::from_utf8(&self.bytes[..line]).expect("a size");
            let size = usize::from_str_radix(text, 16).expect("a size in hexadecimal digits");
            let end = line + 2 + size + 2;
            if self.bytes.len() < end {
                return false;
            }
            assert_eq!(&self.bytes[end - 2..end], b"\r\n", "a chunk of another size");
            self.body.extend_from_slice(&self.bytes[line + 2..line + 2 + size]);
            self.bytes.drain(..end);
            if size == 0 {
                return true;
            }
        }
    }
}

fn read_head(bytes: &[u8]) -> AnswerHead {
    let text = std::str::from_utf8(bytes).expect("a head of visible characters");
    let mut lines = text.strip_suffix("\r\n\r\n").expect("it ends so").split("\r\n");
    let line = lines.next().expect("a status line");
    let rest = line.strip_prefix("HTTP/1.1 ").unwrap_or_else(|| panic!("{line:?}"));
    let (status, reason) = rest.split_once(' ').expect("a blank behind the status");
    assert_eq!(status.len(), 3, "{line:?}");
    assert!(!reason.is_empty(), "{line:?}");
    let fields = lines.map(|line| {
        let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("{line:?}"));
        (name.to_ascii_lowercase(), value.to_owned())
    });
    AnswerHead { status: status.parse().expect("a number"), fields: fields.collect() }
}

fn framing(head: &AnswerHead) -> Framing {
    match (head.field("content-length"), head.field("transfer-encoding")) {
        (Some(length), None) => Framing::Length(length.parse().expect("a number")),
        (None, Some(coding)) => {
            assert_eq!(coding, "chunked");
            Framing::Chunked
        }
        (None, None) => Framing::UntilEnd,
        both => panic!("two framings: {both:?}"),
    }
}

#[test]
fn answers_are_read_in_each_framing_and_however_they_are_cut() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let counted = "HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nabc";
    let until_end = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc";
    for (text, is_bodiless, body) in [
        (chunked, false, "abc"),
        (counted, false, "abc"),
        (until_end, false, "abc"),
        (&counted[..counted.len() - 3], true, ""),
    ] {
        for cut in 0..text.len() {
            let mut reader = AnswerReader::default();
            let (one, other) = text.as_bytes().split_at(cut);
            let early = reader.take(one, is_bodiless);
            assert!(early.is_none(), "{text} at {cut}");
            let whole = reader.take(other, is_bodiless).or_else(|| reader.end());
            assert_eq!(whole.expect("it is whole").body, body.as_bytes(), "{text} at {cut}");
            assert!(!reader.is_within());
        }
    }
}
