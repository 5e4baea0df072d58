//! The user of a registry and the token for requests: when one is needed, and whether a refusal
//! may be due to an old one. Pure.

use std::fmt;

use crate::proto::etcd::auth::{self, Token};

/// A name and a password. Not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The name of the user.
    pub name: String,
    /// The password, without the line break behind it.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({:?}, ..)", self.name)
    }
}

/// The credentials, and what they have given.
#[derive(Debug)]
pub(super) struct Session {
    credentials: Option<Credentials>,
    state: State,
    /// Whether the state is that of the attempt under way, so that a refusal is not due to its age.
    is_new: bool,
}

#[derive(Debug)]
enum State {
    /// There is none, and there may be one.
    NoToken,
    Token(Token),
    /// Authentication is off, and any token would be refused.
    Disabled,
}

impl Session {
    /// No token so far.
    pub(super) fn new(credentials: Option<Credentials>) -> Session {
        Session { credentials, state: State::NoToken, is_new: false }
    }

    /// The body of the request for a token, if one is needed.
    pub(super) fn question(&self) -> Option<String> {
        let Credentials { name, password } = self.credentials.as_ref()?;
        matches!(self.state, State::NoToken).then(|| auth::body(name, password))
    }

    /// The token of requests.
    pub(super) fn token(&self) -> Option<&Token> {
        match &self.state {
            State::Token(token) => Some(token),
            State::NoToken | State::Disabled => None,
        }
    }

    /// Takes a token; `None`: authentication is off.
    pub(super) fn grant(&mut self, token: Option<Token>) {
        self.state = token.map_or(State::Disabled, State::Token);
        self.is_new = true;
    }

    /// Gives the token up after a refusal, if it may be due to its age; whether it did.
    pub(super) fn renew(&mut self) -> bool {
        let may_help = self.credentials.is_some() && !self.is_new;
        if may_help {
            self.state = State::NoToken;
        }
        may_help
    }

    /// The attempt is over: it has come to a watch, or to a pause.
    pub(super) fn grow_old(&mut self) {
        self.is_new = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> Token {
        let text = r#"{"header":{"cluster_id":"1","member_id":"2"},"token":"abc"}"#;
        auth::parse(text.as_bytes()).expect(text)
    }

    #[test]
    fn a_new_token_is_asked_for_once_an_attempt() {
        let credentials = Credentials { name: "u".into(), password: "pw".into() };
        assert_eq!(format!("{credentials:?}"), r#"Credentials("u", ..)"#);
        let mut session = Session::new(Some(credentials));
        for granted in [Some(token()), None] {
            assert!(session.question().is_some_and(|body| body.contains("pw")));
            session.grant(granted.clone());
            assert_eq!((session.question(), session.token()), (None, granted.as_ref()));
            assert!(!session.renew(), "it is new");
            session.grow_old();
            assert!(session.renew());
        }
    }

    #[test]
    fn without_a_user_nothing_is_asked_for() {
        let mut session = Session::new(None);
        assert_eq!(session.question(), None);
        assert!(!session.renew() && session.token().is_none());
    }
}
