//! A decoder of answers for the tests: written plainly, and knowing nothing of the product.

/// An answer as it was read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Names in small letters, and values, as they came.
    pub(super) fields: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    /// Whether the body ends by itself.
    pub(super) is_delimited: bool,
}

impl Answer {
    /// The value of a field that is there once.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let values: Vec<&str> = self
            .fields
            .iter()
            .filter(|field| field.0 == name)
            .map(|field| field.1.as_str())
            .collect();
        assert!(values.len() <= 1, "{name} twice");
        values.first().copied()
    }

    pub(super) fn body_text(&self) -> &str {
        str::from_utf8(&self.body).expect("text")
    }
}

/// All answers of a connection. `heads`: whether each is one to HEAD; further ones are not.
pub(super) fn decode(bytes: &[u8], heads: &[bool]) -> Vec<Answer> {
    let (mut answers, mut rest) = (Vec::new(), bytes);
    while !rest.is_empty() {
        let is_head = heads.get(answers.len()).copied().unwrap_or(false);
        let (answer, behind) = decode_one(rest, is_head);
        rest = behind;
        answers.push(answer);
    }
    answers
}

fn decode_one(bytes: &[u8], is_head: bool) -> (Answer, &[u8]) {
    let (head, mut rest) = split_at_text(bytes, "\r\n\r\n");
    let head = str::from_utf8(head).expect("a head is text");
    let mut lines = head.split("\r\n");
    let status_line = lines.next().expect("a first line");
    let (status, _) = status_line
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.split_once(' '))
        .expect("a status line");
    let status: u16 = status.parse().expect("a status");
    let mut fields = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(": ").expect("a field");
        fields.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let mut answer = Answer { status, fields, body: Vec::new(), is_delimited: true };
    if is_head || status == 204 || status == 304 {
        return (answer, rest);
    }
    match (answer.field("content-length"), answer.field("transfer-encoding")) {
        (Some(length), None) => {
            let (body, behind) = rest.split_at(length.parse().expect("a length"));
            (answer.body, rest) = (body.to_vec(), behind);
        }
        (None, Some("chunked")) => (answer.body, rest) = decode_chunks(rest),
        (None, None) => {
            (answer.body, rest) = (rest.to_vec(), &[]);
            answer.is_delimited = false;
        }
        other => panic!("how long is {other:?}?"),
    }
    (answer, rest)
}

fn decode_chunks(bytes: &[u8]) -> (Vec<u8>, &[u8]) {
    let (mut body, mut rest) = (Vec::new(), bytes);
    loop {
        let (size, behind) = split_at_text(rest, "\r\n");
        let size = str::from_utf8(size).expect("a size is text");
        let size = usize::from_str_radix(size, 16).expect("a size");
        let (chunk, behind) = behind.split_at(size);
        body.extend_from_slice(chunk);
        rest = behind.strip_prefix(b"\r\n").expect("the end of a chunk");
        if size == 0 {
            return (body, rest);
        }
    }
}

/// What is before the first `text`, and what is behind it.
fn split_at_text<'a>(bytes: &'a [u8], text: &str) -> (&'a [u8], &'a [u8]) {
    let at = bytes.windows(text.len()).position(|window| window == text.as_bytes());
    let at = at.expect("the text is there");
    (&bytes[..at], &bytes[at + text.len()..])
}
