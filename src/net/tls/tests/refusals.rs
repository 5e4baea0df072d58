//! What servers say of our certificate, or of the lack of one, in the handshake or behind it.

use super::*;
use crate::net::tls_settings::ClientFiles;
use crate::proto::dns::stream::Framing;

/// A verifier with the certificate and key of ours.
fn showing(certificate: &str, key: &str) -> Verifier {
    let scratch = Scratch::new();
    let authority = scratch.write("authority.pem", &made().authority);
    let certificate = scratch.write("certificate.pem", certificate);
    let key = scratch.write("key.pem", key);
    let client = Some(ClientFiles { certificate: &certificate, key: &key });
    let (authority, domain) = (Some(&*authority), Some(NAME));
    let settings = TlsSettings { authority, client, domain, ..TlsSettings::default() };
    Verifier::new(settings).expect("files of use")
}

/// A handshake behind which a question is asked.
fn asking(session: TlsSession) -> Handshake {
    let question = Dialogue::Dns(Framing::new(b"q"));
    Handshake { dialogue: Dialogue::over_tls(Box::new(session), question), lost: None }
}

fn outcome(verifier: &Verifier, server: &mut Server) -> Outcome {
    let session = verifier.begin(NAME).expect("random bytes");
    Wire::default().carry_out(&mut asking(session), server)
}

#[test]
fn what_a_server_demands_of_us_is_told_whenever_it_says_so() {
    let made = made();
    let required = failed(HandshakeError::ClientCertificateRequired);
    let refused = failed(HandshakeError::ClientCertificateRefused);
    for version in VERSIONS {
        for (verifier, want) in [
            (verifier(), required),
            (showing(&made.self_signed, &made.key), refused),
            (showing(&made.client, &made.key), Outcome::Pending),
        ] {
            let found = outcome(&verifier, &mut Setup::asking(version).server());
            assert_eq!(found, want, "{version:?}");
            // The proof that the server gives is complete all the same.
            let mut server = Setup::asking(version).server();
            assert_eq!(Wire::default().handshake(&verifier, &mut server), Outcome::Done);
            // One that does not ask has nothing to refuse.
            let found = outcome(&verifier, &mut Setup::of(version).server());
            assert_eq!(found, Outcome::Pending, "{version:?}");
        }
    }
}

#[test]
fn a_server_that_ends_without_a_word_once_it_asked_refuses_too() {
    for (verifier, want) in [
        (verifier(), HandshakeError::ClientCertificateRequired),
        (showing(&made().client, &made().key), HandshakeError::ClientCertificateRefused),
    ] {
        for end in [End::Eof, End::Error(libc::ECONNRESET), End::Error(libc::EPIPE)] {
            let mut wire = Wire::default();
            let mut handshake = asking(verifier.begin(NAME).expect("random bytes"));
            let mut server = Setup::asking(&TLS12).server();
            assert_eq!(handshake.advance(&mut wire), Outcome::Pending);
            assert!(wire.serve(&mut server));
            assert_eq!(handshake.advance(&mut wire), Outcome::Pending);
            wire.end = Some(end);
            assert_eq!(handshake.advance(&mut wire), failed(want));
        }
    }
}

#[test]
fn alerts_of_another_kind_are_no_matter_of_our_certificate() {
    for (number, want) in [
        (40, HandshakeError::ClientCertificateRequired),
        (42, HandshakeError::ClientCertificateRequired),
        (48, HandshakeError::ClientCertificateRequired),
        (116, HandshakeError::ClientCertificateRequired),
        // An internal error, and a version that it does not speak after all.
        (80, HandshakeError::Refused),
        (70, HandshakeError::Refused),
    ] {
        let (mut wire, verifier) = (Wire::default(), verifier());
        let mut handshake = asking(verifier.begin(NAME).expect("random bytes"));
        assert_eq!(handshake.advance(&mut wire), Outcome::Pending);
        assert!(wire.serve(&mut Setup::asking(&TLS12).server()));
        assert_eq!(handshake.advance(&mut wire), Outcome::Pending);
        let alert = vec![21, 3, 3, 0, 2, 2, number];
        let mut server = Server::Fixed(alert, Some(End::Eof));
        assert_eq!(wire.carry_out(&mut handshake, &mut server), failed(want), "{number}");
    }
}

/// The bytes of a server of TLS 1.3 that refuses us behind our handshake, and the session.
fn refused_late() -> (TlsSession, Vec<u8>) {
    let mut session = verifier().begin(NAME).expect("random bytes");
    let mut server = ServerConnection::new(Setup::asking(&TLS13).config()).expect("random bytes");
    loop {
        let outgoing = session.outgoing().to_vec();
        session.wrote(outgoing.len());
        server.read_tls(&mut outgoing.as_slice()).expect("room in memory");
        let outcome = server.process_new_packets().map(|_| ());
        let mut read = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut read).expect("room in memory");
        }
        if outcome.is_err() {
            return (session, read);
        }
        session.incoming(&mut &read[..]);
    }
}

#[test]
fn a_refusal_counts_until_the_server_has_said_something_else() {
    let (mut session, alert) = refused_late();
    let required = Status::Dismissed(HandshakeError::ClientCertificateRequired);
    assert_eq!(session.end(true), Some(Status::Established), "it has not spoken yet");
    assert_eq!(session.incoming(&mut &alert[..]), required);

    let (mut session, alert) = refused_late();
    session.has_received = true;
    assert_eq!(session.incoming(&mut &alert[..]), Status::Established);
}
