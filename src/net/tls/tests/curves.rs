//! Signatures and key exchange on all curves, compared with those of openssl.

use rustls::NamedGroup;
use rustls::pki_types::SignatureVerificationAlgorithm;
use rustls::pki_types::alg_id;

use super::super::algorithms::{SIGNATURES, provider};
use super::*;

const MESSAGE: &str = "the message";
const CURVES: [(&str, alg_id::AlgorithmIdentifier, usize); 3] = [
    ("prime256v1", alg_id::ECDSA_P256, 65),
    ("secp384r1", alg_id::ECDSA_P384, 97),
    ("secp521r1", alg_id::ECDSA_P521, 133),
];
const HASHES: [(&str, alg_id::AlgorithmIdentifier); 3] = [
    ("sha256", alg_id::ECDSA_SHA256),
    ("sha384", alg_id::ECDSA_SHA384),
    ("sha512", alg_id::ECDSA_SHA512),
];

fn algorithm(
    key: alg_id::AlgorithmIdentifier,
    signature: alg_id::AlgorithmIdentifier,
) -> &'static dyn SignatureVerificationAlgorithm {
    let mut known = SIGNATURES.all.iter();
    let found = known.find(|algorithm| {
        algorithm.public_key_alg_id() == key && algorithm.signature_alg_id() == signature
    });
    *found.expect("an algorithm for each")
}

#[test]
fn signatures_by_each_curve_over_each_hash_are_verified() {
    let scratch = Scratch::new();
    scratch.write("message", MESSAGE);
    for (curve, key_id, point_bytes) in CURVES {
        scratch
            .openssl(&format!("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:{curve} -out key"));
        scratch.openssl("pkey -in key -pubout -outform DER -out public");
        let public = std::fs::read(scratch.path.join("public")).expect("what openssl wrote");
        let public = &public[public.len() - point_bytes..];
        for (hash, hash_id) in HASHES {
            let algorithm = algorithm(key_id, hash_id);
            // Numbers, and with them their encoding, are sometimes shorter.
            for _ in 0..8 {
                scratch.openssl(&format!("dgst -{hash} -sign key -out signature message"));
                let signed = std::fs::read(scratch.path.join("signature"));
                let mut signature = signed.expect("what openssl wrote");
                let longer = [&signature[..], &[0]].concat();
                let shorter = signature[..signature.len() - 1].to_vec();
                let right = signature.clone();
                *signature.last_mut().expect("a signature") ^= 1;
                for (message, signature, want) in [
                    (MESSAGE, &right, true),
                    ("not the message", &right, false),
                    (MESSAGE, &longer, false),
                    (MESSAGE, &shorter, false),
                    (MESSAGE, &Vec::new(), false),
                    (MESSAGE, &signature, false),
                ] {
                    let verified =
                        algorithm.verify_signature(public, message.as_bytes(), signature);
                    assert_eq!(verified.is_ok(), want, "{curve} {hash} {message}");
                }
            }
            for broken in [&[][..], &[4], &public[1..], &[0; 133]] {
                let outcome = algorithm.verify_signature(broken, MESSAGE.as_bytes(), &[]);
                assert!(outcome.is_err(), "{curve} {hash}");
            }
        }
    }
}

#[test]
fn both_sides_of_an_exchange_on_p521_come_to_the_same_and_other_points_are_refused() {
    let groups = provider().kx_groups;
    let group =
        groups.iter().find(|group| group.name() == NamedGroup::secp521r1).expect("the curve");
    let [ours, theirs] = [group.start().expect("random"), group.start().expect("random")];
    let [ours_public, theirs_public] = [ours.pub_key().to_vec(), theirs.pub_key().to_vec()];
    assert_ne!(ours_public, theirs_public);
    assert_eq!(ours_public.len(), 133);
    let ours = ours.complete(&theirs_public).expect("a point of the curve");
    let theirs = theirs.complete(&ours_public).expect("a point of the curve");
    assert_eq!(ours.secret_bytes(), theirs.secret_bytes());
    assert_eq!(ours.secret_bytes().len(), 66);

    let mut outside = theirs_public.clone();
    *outside.last_mut().expect("a point") ^= 1;
    let mut compressed = theirs_public[..67].to_vec();
    compressed[0] = 2;
    for point in [&outside[..], &compressed, &theirs_public[1..], &[], &[0], &[0; 133], &[4; 133]] {
        let ours = group.start().expect("random");
        assert!(ours.complete(point).is_err(), "{point:?}");
    }
}
