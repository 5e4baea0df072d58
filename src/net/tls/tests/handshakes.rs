//! Results of handshakes with good servers, with bad certificates, and with servers without TLS.

use super::*;

// ------------------------------------------------------------------------------- good servers

#[test]
fn a_server_is_verified_and_told_of_the_end() {
    for version in VERSIONS {
        for trickles in [false, true] {
            let mut wire = Wire { trickles, ..Wire::default() };
            let mut server = Setup::of(version).server();
            assert_eq!(wire.handshake(&verifier(), &mut server), Outcome::Done, "{version:?}");
            // Bytes that the socket does not take at once are not waited for.
            if trickles {
                continue;
            }
            let Server::Tls { mut connection, outcome, .. } = server else { unreachable!() };
            assert_eq!(outcome, Ok(()));
            assert!(!connection.is_handshaking());
            let state = connection.process_new_packets().expect("no error");
            assert!(state.peer_has_closed());
        }
    }
}

#[test]
fn the_name_is_a_dns_name_or_an_address() {
    let verifier = verifier();
    for version in VERSIONS {
        for (name, want) in [
            ("example.test", Outcome::Done),
            ("EXAMPLE.test", Outcome::Done),
            ("example.test.", Outcome::Done),
            ("a.wild.test", Outcome::Done),
            ("127.0.0.1", Outcome::Done),
            ("wild.test", failed(HandshakeError::WrongName)),
            ("a.b.wild.test", failed(HandshakeError::WrongName)),
            ("a.example.test", failed(HandshakeError::WrongName)),
            ("127.0.0.2", failed(HandshakeError::WrongName)),
            ("::1", failed(HandshakeError::WrongName)),
        ] {
            let (mut wire, mut server) = (Wire::default(), Setup::of(version).server());
            let outcome = wire.carry_out(&mut Handshake::with(&verifier, name), &mut server);
            assert_eq!(outcome, want, "{name}");
        }
    }
}

#[test]
fn one_verifier_serves_many_handshakes_and_each_in_full() {
    let verifier = verifier();
    for version in VERSIONS {
        let config = Setup::of(version).config();
        for _ in 0..3 {
            let connection = ServerConnection::new(Arc::clone(&config)).expect("random bytes");
            let (connection, outcome) = (Box::new(connection), Ok(()));
            let mut server = Server::Tls { connection, flights_max: usize::MAX, outcome };
            assert_eq!(Wire::default().handshake(&verifier, &mut server), Outcome::Done);
            let Server::Tls { connection, .. } = server else { unreachable!() };
            assert_eq!(connection.handshake_kind(), Some(rustls::HandshakeKind::Full));
        }
    }
}

#[test]
fn a_server_that_stalls_is_waited_for() {
    let mut silent = Server::Fixed(Vec::new(), None);
    assert_eq!(Wire::default().handshake(&verifier(), &mut silent), Outcome::Pending);
    // The beginning of a record.
    let mut stalled = Server::Fixed(vec![22, 3, 3], None);
    assert_eq!(Wire::default().handshake(&verifier(), &mut stalled), Outcome::Pending);
}

// ------------------------------------------------------------------------------- bad certificates

#[test]
fn a_certificate_out_of_its_time_is_told_from_the_others() {
    let expired = verifier_at(now() + TEN_YEARS);
    let early = verifier_at(now() - TEN_YEARS);
    let reset_clock = verifier_at(Duration::ZERO);
    for version in VERSIONS {
        for (verifier, want) in [
            (&expired, HandshakeError::Expired),
            (&early, HandshakeError::NotYetValid),
            (&reset_clock, HandshakeError::NotYetValid),
        ] {
            let mut server = Setup::of(version).server();
            assert_eq!(Wire::default().handshake(verifier, &mut server), failed(want));
            // The server's log says the same.
            let Server::Tls { outcome, .. } = server else { unreachable!() };
            assert!(matches!(outcome, Err(rustls::Error::AlertReceived(_))), "{outcome:?}");
        }
    }
}

#[test]
fn a_certificate_needs_an_authority_a_name_and_a_purpose() {
    let made = made();
    for version in VERSIONS {
        for (authority, certificate, want) in [
            (&made.other_authority, &made.server, failed(HandshakeError::UnknownAuthority)),
            (&made.authority, &made.self_signed, failed(HandshakeError::UnknownAuthority)),
            (&made.authority, &made.common_name, failed(HandshakeError::WrongName)),
            (&made.authority, &made.client, failed(HandshakeError::WrongPurpose)),
            // A server may show a certificate that is itself in the file, as for Go.
            (&made.self_signed, &made.self_signed, Outcome::Done),
            (&made.server, &made.server, Outcome::Done),
            (&made.self_signed_authority, &made.self_signed_authority, Outcome::Done),
        ] {
            let verifier = verifier_of(authority, NAME);
            let mut server = Setup { certificate, ..Setup::of(version) }.server();
            assert_eq!(Wire::default().handshake(&verifier, &mut server), want, "{version:?}");
        }
    }
}

#[test]
fn a_certificate_without_its_key_proves_nothing() {
    for version in VERSIONS {
        let asking = Setup { key: &made().other_key, ..Setup::asking(version) };
        let plain = Setup { key: &made().other_key, ..Setup::of(version) };
        for mut server in [plain.server(), asking.server(), asking.breaking_off()] {
            let outcome = Wire::default().handshake(&verifier(), &mut server);
            assert_eq!(outcome, failed(HandshakeError::BadCertificate), "{version:?}");
        }
    }
}

// ------------------------------------------------------------------------------- our certificate

#[test]
fn a_server_that_wants_a_certificate_of_ours_is_verified_all_the_same() {
    for version in VERSIONS {
        assert_eq!(Setup::asking(version).outcome(), Outcome::Done, "{version:?}");
    }
}

#[test]
fn what_breaks_off_for_want_of_our_certificate_is_verified_however_it_does() {
    for end in [End::Eof, End::Error(libc::ECONNRESET), End::Error(libc::EPIPE)] {
        let mut wire = Wire::default();
        let mut handshake = Handshake::new(&verifier());
        let mut server = Setup::asking(&TLS12).server();
        assert_eq!(handshake.advance(&mut wire), Outcome::Pending);
        assert!(wire.serve(&mut server));
        assert_eq!(handshake.advance(&mut wire), Outcome::Pending);
        wire.end = Some(end);
        assert_eq!(handshake.advance(&mut wire), Outcome::Done);
    }
}

#[test]
fn what_breaks_off_without_wanting_our_certificate_is_not_verified() {
    let mut wire = Wire::default();
    let outcome = wire.handshake(&verifier(), &mut Setup::of(&TLS12).breaking_off());
    assert_eq!(outcome, Outcome::Lost(NetError::Reset));
}

#[test]
fn what_breaks_off_before_it_has_signed_is_not_verified() {
    let alert = [21, 3, 3, 0, 2, 2, 40];
    for (said, want) in [
        // The two sides had something in common, since the server has chosen.
        (&alert[..], failed(HandshakeError::Refused)),
        (&[], Outcome::Lost(NetError::Reset)),
    ] {
        let mut wire = Wire::default();
        let mut handshake = Handshake::new(&verifier());
        assert_eq!(handshake.advance(&mut wire), Outcome::Pending);
        assert!(wire.serve(&mut Setup::asking(&TLS12).server()));
        // All in one record, and last the message of four bytes on which all is verified.
        let flight = wire.to_client.make_contiguous();
        let length = flight.len() - 5;
        assert_eq!(usize::from(u16::from_be_bytes([flight[3], flight[4]])), length);
        assert_eq!(flight[length + 1..], [14, 0, 0, 0]);
        let shorter = u16::try_from(length - 4).expect("shorter than it was");
        flight[3..5].copy_from_slice(&shorter.to_be_bytes());
        wire.to_client.truncate(length + 1);
        assert_eq!(handshake.advance(&mut wire), Outcome::Pending);

        let mut server = Server::Fixed(said.to_vec(), Some(End::Eof));
        assert_eq!(wire.carry_out(&mut handshake, &mut server), want);
    }
}

#[test]
fn asking_for_a_certificate_does_not_excuse_a_bad_one() {
    let other = verifier_of(&made().other_authority, NAME);
    for version in VERSIONS {
        for mut server in [Setup::asking(version).server(), Setup::asking(version).breaking_off()] {
            let outcome = Wire::default().handshake(&other, &mut server);
            assert_eq!(outcome, failed(HandshakeError::UnknownAuthority), "{version:?}");
        }
    }
}

// ------------------------------------------------------------------------------- no servers of TLS

/// A record with a fatal alert.
fn alert(number: u8) -> [u8; 7] {
    [21, 3, 3, 0, 2, 2, number]
}

#[test]
fn a_server_without_tls_differs_from_one_that_refuses() {
    let no_tls = failed(HandshakeError::NoTls);
    let lost = Outcome::Lost;
    let http = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
    for (said, end, want) in [
        (&b""[..], End::Eof, no_tls),
        (b"", End::Error(libc::ECONNRESET), lost(NetError::Reset)),
        (b"", End::Error(libc::ETIMEDOUT), lost(NetError::TimedOut)),
        (http, End::Eof, no_tls),
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", End::Eof, no_tls),
        (b"-ERR\n", End::Eof, no_tls),
        (b"no", End::Eof, no_tls),
        // The beginning of a record.
        (&[22, 3, 3], End::Eof, lost(NetError::Reset)),
        (&[0; 64], End::Eof, no_tls),
        (&[255; 70_000], End::Eof, no_tls),
        // A record of a handshake, filled with nothing.
        (&[22, 3, 3, 0, 4, 9, 9, 9, 9], End::Eof, no_tls),
        (&alert(40), End::Eof, failed(HandshakeError::NoCommonCipherSuite)),
        (&alert(71), End::Eof, failed(HandshakeError::NoCommonCipherSuite)),
        (&alert(70), End::Eof, failed(HandshakeError::NoCommonVersion)),
        // An unknown name, and an internal error.
        (&alert(112), End::Eof, failed(HandshakeError::Refused)),
        (&alert(80), End::Eof, failed(HandshakeError::Refused)),
    ] {
        for trickles in [false, true] {
            let mut wire = Wire { trickles, ..Wire::default() };
            let outcome = wire.handshake(&verifier(), &mut Server::Fixed(said.to_vec(), Some(end)));
            assert_eq!(outcome, want, "{:?}", String::from_utf8_lossy(said));
        }
    }
}

#[test]
fn an_alert_is_read_even_where_nothing_can_be_written() {
    let mut wire = Wire { write_error: Some(libc::EPIPE), ..Wire::default() };
    wire.to_client.extend([21, 3, 3, 0, 2, 2, 40]);
    let mut handshake = Handshake::new(&verifier());
    assert_eq!(handshake.advance(&mut wire), failed(HandshakeError::NoCommonCipherSuite));

    let mut wire = Wire { write_error: Some(libc::EHOSTUNREACH), ..Wire::default() };
    let mut handshake = Handshake::new(&verifier());
    let lost = Outcome::Lost(NetError::HostUnreachable);
    assert_eq!(handshake.advance(&mut wire), lost);
}

#[test]
fn what_stops_making_sense_is_refused() {
    // All messages of this server of TLS 1.2 are in one record, and are not taken singly.
    for (setup, kept_part) in
        [(Setup::of(&TLS12), 1), (Setup::asking(&TLS12), 1), (Setup::of(&TLS13), 2)]
    {
        let mut wire = Wire::default();
        let mut handshake = Handshake::new(&verifier());
        assert_eq!(handshake.advance(&mut wire), Outcome::Pending);
        assert!(wire.serve(&mut setup.server()));
        wire.to_client.truncate(wire.to_client.len() / kept_part);
        wire.to_client.extend([7; 4096]);
        let outcome =
            wire.carry_out(&mut handshake, &mut Server::Fixed(Vec::new(), Some(End::Eof)));
        assert_eq!(outcome, failed(HandshakeError::Refused), "{:?}", setup.version);
    }
}

#[test]
fn a_handshake_without_end_is_given_up() {
    let mut session = verifier().begin(NAME).expect("random bytes");
    session.received_bytes = HANDSHAKE_BYTES_MAX;
    let mut handshake = Handshake::of(session);
    let mut server = Server::Fixed(vec![22], None);
    let outcome = Wire::default().carry_out(&mut handshake, &mut server);
    assert_eq!(outcome, failed(HandshakeError::Refused));
}

// ------------------------------------------------------------------------------- what follows

/// Carries out a handshake up to the server's last flight, behind which the server sends `said`,
/// and an end of the session if it `closes`. Gives the session, and all bytes that are to come.
fn last_read(setup: &Setup, said: &[u8], closes: bool) -> (TlsSession, Vec<u8>) {
    let mut session = verifier().begin(NAME).expect("random bytes");
    let mut config = ServerConfig::clone(&setup.config());
    config.send_half_rtt_data = true;
    let mut server = ServerConnection::new(Arc::new(config)).expect("random bytes");
    server.set_buffer_limit(None);
    for _ in 0..4 {
        let outgoing = session.outgoing().to_vec();
        session.wrote(outgoing.len());
        server.read_tls(&mut outgoing.as_slice()).expect("room in memory");
        server.process_new_packets().expect("a client that keeps to the protocol");
        let is_last = !server.is_handshaking() || setup.version == &TLS13;
        if is_last {
            // A server of TLS 1.3 may speak before it has heard the client's last message.
            server.writer().write_all(said).expect("room in memory");
            if closes {
                server.send_close_notify();
            }
        }
        let mut read = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut read).expect("room in memory");
        }
        if is_last {
            return (session, read);
        }
        assert_eq!(session.incoming(&mut &read[..]), Status::Handshaking);
    }
    panic!("no end of the handshake");
}

fn receive_all(session: &mut TlsSession) -> Vec<u8> {
    let (mut all, mut buffer) = (Vec::new(), [0; 1000]);
    loop {
        match session.receive(&mut buffer) {
            0 => return all,
            bytes => all.extend(&buffer[..bytes]),
        }
    }
}

#[test]
fn what_is_said_behind_the_handshake_is_received_whole() {
    let said: Vec<u8> = (0..64 << 10).map(|number: u32| number.to_le_bytes()[1]).collect();
    for version in VERSIONS {
        let (mut session, read) = last_read(&Setup::of(version), &said, false);
        let (mut rest, mut received) = (&read[..], Vec::new());
        while !rest.is_empty() {
            let left = rest.len();
            assert_eq!(session.incoming(&mut rest), Status::Established, "{version:?}");
            assert!(rest.len() < left, "it takes some each time");
            let held = receive_all(&mut session);
            assert!(held.len() <= 40_000, "it holds {} bytes", held.len());
            received.extend(held);
        }
        assert!(received == said, "{version:?}: {} bytes", received.len());
        // A probe wants none of it.
        let (session, read) = last_read(&Setup::of(version), &said, false);
        let mut probe = Dialogue::over_tls(Box::new(session), Dialogue::Connect);
        probe.incoming(&read);
        assert_eq!(probe.poll(), Progress::Done, "{version:?}");
    }
}

#[test]
fn what_follows_the_end_of_a_session_is_none_of_it() {
    for version in VERSIONS {
        let (mut session, mut read) = last_read(&Setup::of(version), b"bye", true);
        read.extend([7; 9000]);
        let mut rest = &read[..];
        assert_eq!(session.incoming(&mut rest), Status::Established, "{version:?}");
        assert_eq!((rest, receive_all(&mut session)), (&[][..], b"bye".to_vec()), "{version:?}");
        let mut more = &[7; 9][..];
        assert_eq!(session.incoming(&mut more), Status::Established, "{version:?}");
        assert_eq!((more, session.end(true)), (&[][..], Some(Status::Established)));
    }
}
