//! The cryptography of a handshake: that of ring, and from the crates of RustCrypto what ring
//! lacks: the curve P-521, and SHA-512 in signatures by P-256 and P-384.
//!
//! Private authorities use these, and etcd, Go and OpenSSL accept them. Key exchange on the curve
//! is needed for its signatures: in TLS 1.2 a server may show a certificate with a key of P-521
//! only to a client that lists the curve among its groups (RFC 8422, section 5.1), and OpenSSL
//! obeys that.
//!
//! Verifying by P-521 takes about a millisecond, far more than by P-256. So it is listed last, for
//! servers that have the choice.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Add;

use ecdsa::elliptic_curve::array::ArraySize;
use ecdsa::elliptic_curve::sec1::{FromSec1Point, ModulusSize, ToSec1Point};
use ecdsa::elliptic_curve::{AffinePoint, CurveArithmetic, FieldBytesSize};
use ecdsa::signature::hazmat::PrehashVerifier;
use ecdsa::{EcdsaCurve, Signature, VerifyingKey};
use p256::NistP256;
use p384::NistP384;
use p521::elliptic_curve::point::AffineCoordinates;
use p521::{NistP521, PublicKey, SecretKey};
use ring::digest;
use rustls::crypto::{
    ActiveKeyExchange, CryptoProvider, SecureRandom, SharedSecret, SupportedKxGroup,
    WebPkiSupportedAlgorithms, ring as provided,
};
use rustls::ffdhe_groups::FfdheGroup;
use rustls::pki_types::{
    AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
};
use rustls::{Error, NamedGroup, PeerMisbehaved, SignatureScheme};
use webpki::ring as by_ring;

/// The algorithms of handshakes.
pub(super) fn provider() -> CryptoProvider {
    let mut provider = provided::default_provider();
    provider.kx_groups.push(&P521);
    provider.signature_verification_algorithms = SIGNATURES;
    provider
}

/// The signatures that can be verified: those that Go accepts, except for curves smaller than
/// P-256.
///
/// In TLS 1.2 a scheme names the hash alone, and the key may be of any curve; in TLS 1.3 a scheme
/// means the first algorithm of its row alone (RFC 8446, section 4.2.3).
pub(super) static SIGNATURES: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: &[
        by_ring::ECDSA_P256_SHA256,
        by_ring::ECDSA_P256_SHA384,
        P256_SHA512,
        by_ring::ECDSA_P384_SHA256,
        by_ring::ECDSA_P384_SHA384,
        P384_SHA512,
        P521_SHA256,
        P521_SHA384,
        P521_SHA512,
        by_ring::ED25519,
        by_ring::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
        by_ring::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
        by_ring::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
        by_ring::RSA_PKCS1_2048_8192_SHA256,
        by_ring::RSA_PKCS1_2048_8192_SHA384,
        by_ring::RSA_PKCS1_2048_8192_SHA512,
        by_ring::RSA_PKCS1_2048_8192_SHA256_ABSENT_PARAMS,
        by_ring::RSA_PKCS1_2048_8192_SHA384_ABSENT_PARAMS,
        by_ring::RSA_PKCS1_2048_8192_SHA512_ABSENT_PARAMS,
    ],
    mapping: &[
        (
            SignatureScheme::ECDSA_NISTP384_SHA384,
            &[by_ring::ECDSA_P384_SHA384, by_ring::ECDSA_P256_SHA384, P521_SHA384],
        ),
        (
            SignatureScheme::ECDSA_NISTP256_SHA256,
            &[by_ring::ECDSA_P256_SHA256, by_ring::ECDSA_P384_SHA256, P521_SHA256],
        ),
        (SignatureScheme::ED25519, &[by_ring::ED25519]),
        (SignatureScheme::RSA_PSS_SHA512, &[by_ring::RSA_PSS_2048_8192_SHA512_LEGACY_KEY]),
        (SignatureScheme::RSA_PSS_SHA384, &[by_ring::RSA_PSS_2048_8192_SHA384_LEGACY_KEY]),
        (SignatureScheme::RSA_PSS_SHA256, &[by_ring::RSA_PSS_2048_8192_SHA256_LEGACY_KEY]),
        (SignatureScheme::RSA_PKCS1_SHA512, &[by_ring::RSA_PKCS1_2048_8192_SHA512]),
        (SignatureScheme::RSA_PKCS1_SHA384, &[by_ring::RSA_PKCS1_2048_8192_SHA384]),
        (SignatureScheme::RSA_PKCS1_SHA256, &[by_ring::RSA_PKCS1_2048_8192_SHA256]),
        (SignatureScheme::ECDSA_NISTP521_SHA512, &[P521_SHA512, P384_SHA512, P256_SHA512]),
    ],
};

// ------------------------------------------------------------------------------- signatures

/// Signatures by a key of the curve `C` over a hash (FIPS 186-5, section 6).
struct Ecdsa<C> {
    key: AlgorithmIdentifier,
    signature: AlgorithmIdentifier,
    hash: &'static digest::Algorithm,
    curve: PhantomData<fn(C)>,
}

impl<C> Ecdsa<C> {
    const fn new(
        key: AlgorithmIdentifier,
        signature: AlgorithmIdentifier,
        hash: &'static digest::Algorithm,
    ) -> Ecdsa<C> {
        Ecdsa { key, signature, hash, curve: PhantomData }
    }
}

type Algorithm = &'static dyn SignatureVerificationAlgorithm;

static P256_SHA512: Algorithm =
    &Ecdsa::<NistP256>::new(alg_id::ECDSA_P256, alg_id::ECDSA_SHA512, &digest::SHA512);
static P384_SHA512: Algorithm =
    &Ecdsa::<NistP384>::new(alg_id::ECDSA_P384, alg_id::ECDSA_SHA512, &digest::SHA512);
static P521_SHA256: Algorithm =
    &Ecdsa::<NistP521>::new(alg_id::ECDSA_P521, alg_id::ECDSA_SHA256, &digest::SHA256);
static P521_SHA384: Algorithm =
    &Ecdsa::<NistP521>::new(alg_id::ECDSA_P521, alg_id::ECDSA_SHA384, &digest::SHA384);
static P521_SHA512: Algorithm =
    &Ecdsa::<NistP521>::new(alg_id::ECDSA_P521, alg_id::ECDSA_SHA512, &digest::SHA512);

impl<C> fmt::Debug for Ecdsa<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ecdsa {{ key: {:?}, signature: {:?} }}", self.key, self.signature)
    }
}

impl<C> SignatureVerificationAlgorithm for Ecdsa<C>
where
    C: EcdsaCurve + CurveArithmetic,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
    FieldBytesSize<C>: ModulusSize,
    ecdsa::der::MaxSize<C>: ArraySize,
    <FieldBytesSize<C> as Add>::Output: Add<ecdsa::der::MaxOverhead> + ArraySize,
{
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let key = VerifyingKey::<C>::from_sec1_bytes(public_key).map_err(|_| InvalidSignature)?;
        let signature = Signature::<C>::from_der(signature).map_err(|_| InvalidSignature)?;
        let hash = digest::digest(self.hash, message);
        key.verify_prehash(hash.as_ref(), &signature).map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.key
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signature
    }
}

// ------------------------------------------------------------------------------- key exchange

/// Key exchange on P-521 (RFC 8446, section 4.2.8.2; RFC 8422, section 5.10).
#[derive(Debug)]
struct P521;

/// The length of a scalar, and of a coordinate.
const P521_BYTES: usize = 66;
/// An uncompressed point: its tag and both coordinates.
const P521_POINT_BYTES: usize = 1 + 2 * P521_BYTES;

struct P521Exchange {
    secret: SecretKey,
    public: Box<[u8]>,
}

impl SupportedKxGroup for P521 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let secret = random_key(provided::default_provider().secure_random)?;
        let public = secret.public_key().to_sec1_point(false).as_bytes().into();
        Ok(Box::new(P521Exchange { secret, public }))
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::secp521r1
    }
}

fn random_key(random: &dyn SecureRandom) -> Result<SecretKey, Error> {
    let mut bytes = [0; P521_BYTES];
    random.fill(&mut bytes)?;
    // 521 bits: all but one in 2^260 values are below the order of the curve.
    bytes[0] &= 1;
    SecretKey::from_slice(&bytes).map_err(|_| Error::FailedToGetRandomBytes)
}

impl ActiveKeyExchange for P521Exchange {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        // TLS has no other form of a point.
        if peer.len() != P521_POINT_BYTES {
            return Err(PeerMisbehaved::InvalidKeyShare.into());
        }
        let peer = PublicKey::from_sec1_bytes(peer).map_err(|_| PeerMisbehaved::InvalidKeyShare)?;
        let shared = peer.to_projective() * *self.secret.to_nonzero_scalar();
        Ok(SharedSecret::from(shared.to_affine().x().as_slice()))
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::secp521r1
    }

    fn pub_key(&self) -> &[u8] {
        &self.public
    }
}
