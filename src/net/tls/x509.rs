//! The fields of certificates (RFC 5280, section 4), read with the crate `der`.
//!
//! Reads, and decides nothing: `trust.rs` does, for trusted certificates, and `chain.rs`, to find
//! the reason where the library names none. The library verifies the certificates that servers
//! show.

use std::fmt::{self, Write};

use der::asn1::{
    AnyRef, BitStringRef, GeneralizedTime, ObjectIdentifier, OctetStringRef, UintRef, UtcTime,
};
use der::{Decode, ErrorKind, Reader, Result, SliceReader, Tag, TagMode, TagNumber, Tagged};

use super::algorithms::SIGNATURES;

/// Extensions that may be critical, because this file or the library understands them: those of Go,
/// which does not know constraints of policies either.
const UNDERSTOOD: [&str; 9] = [
    SUBJECT_KEY_ID,
    KEY_USAGE,
    ALTERNATIVE_NAMES,
    BASIC_CONSTRAINTS,
    "2.5.29.30", // Name constraints.
    "2.5.29.31", // Distribution points of lists of revoked certificates.
    "2.5.29.32", // Policies.
    AUTHORITY_KEY_ID,
    EXTENDED_KEY_USAGE,
];
const SUBJECT_KEY_ID: &str = "2.5.29.14";
const KEY_USAGE: &str = "2.5.29.15";
const ALTERNATIVE_NAMES: &str = "2.5.29.17";
const BASIC_CONSTRAINTS: &str = "2.5.29.19";
const AUTHORITY_KEY_ID: &str = "2.5.29.35";
const EXTENDED_KEY_USAGE: &str = "2.5.29.37";
/// Extended key usage for any purpose (RFC 5280, section 4.2.1.12).
const ANY_PURPOSE: &str = "2.5.29.37.0";
/// Extended key usage for clients of TLS.
const CLIENT: &str = "1.3.6.1.5.5.7.3.2";
/// Extended key usage for servers of TLS.
const SERVER: &str = "1.3.6.1.5.5.7.3.1";
/// The bit of key usage for signatures of certificates, counted from 0.
const CERTIFICATE_SIGN: usize = 5;
/// RSA keys by which ring verifies signatures, in bits of the modulus.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The fields of a certificate that are used here.
#[derive(Debug)]
pub(super) struct Certificate<'a> {
    /// Whether it has version 1, which has no extensions to state its purpose.
    pub(super) is_version_1: bool,
    /// The name of the authority that signed it, without its tag and length.
    pub(super) issuer: &'a [u8],
    /// The name of its holder, in the same form.
    pub(super) subject: &'a [u8],
    pub(super) not_before: Moment,
    pub(super) not_after: Moment,
    pub(super) key: Key<'a>,
    /// Whether it is an authority; `None` if it does not say.
    pub(super) basic_constraints: Option<BasicConstraints>,
    /// Whether its key may sign certificates; `None` if its usage is not limited.
    pub(super) may_certify: Option<bool>,
    /// Whether a server of TLS may show it; `None` if its purposes are not limited.
    pub(super) may_serve: Option<bool>,
    /// Whether a client of TLS may show it; `None` if its purposes are not limited.
    pub(super) may_be_clients: Option<bool>,
    /// Whether it is for a name of DNS or an IP address at least.
    pub(super) has_names: bool,
    pub(super) subject_key_id: Option<&'a [u8]>,
    pub(super) authority_key_id: Option<&'a [u8]>,
    pub(super) has_unknown_critical_extension: bool,
}

/// The extension that marks authorities (RFC 5280, section 4.2.1.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BasicConstraints {
    pub(super) is_authority: bool,
    /// The most authorities between it and a server; `None`: any number.
    pub(super) path_length_max: Option<usize>,
}

/// A time, to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Moment {
    Before1970,
    /// Seconds since the beginning of 1970, without leap seconds.
    Since1970(u64),
}

/// A public key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key<'a> {
    /// The algorithm and its parameters, such as the curve.
    algorithm: &'a [u8],
    key: &'a [u8],
}

/// Reads a certificate.
///
/// # Errors
/// For bytes that are not a certificate, or more than one.
pub(super) fn read(certificate: &[u8]) -> Result<Certificate<'_>> {
    let mut reader = SliceReader::new(certificate)?;
    let read = reader.sequence(|reader| {
        let read = reader.sequence(read_signed)?;
        let [_algorithm, _signature] = [AnyRef::decode(reader)?, AnyRef::decode(reader)?];
        Ok::<_, der::Error>(read)
    })?;
    reader.finish()?;
    Ok(read)
}

fn read_signed<'a>(reader: &mut SliceReader<'a>) -> Result<Certificate<'a>> {
    let version = reader.context_specific::<u8>(TagNumber(0), TagMode::Explicit)?;
    let [_serial, _algorithm] = [AnyRef::decode(reader)?, AnyRef::decode(reader)?];
    let issuer = AnyRef::decode(reader)?.value();
    let [not_before, not_after] =
        reader.sequence(|reader| Ok::<_, der::Error>([moment(reader)?, moment(reader)?]))?;
    let subject = AnyRef::decode(reader)?.value();
    let key = reader.sequence(|reader| {
        let algorithm = AnyRef::decode(reader)?.value();
        Ok::<_, der::Error>(Key { algorithm, key: BitStringRef::decode(reader)?.raw_bytes() })
    })?;
    let mut certificate = Certificate {
        is_version_1: version.unwrap_or(0) == 0,
        issuer,
        subject,
        not_before,
        not_after,
        key,
        basic_constraints: None,
        may_certify: None,
        may_serve: None,
        may_be_clients: None,
        has_names: false,
        subject_key_id: None,
        authority_key_id: None,
        has_unknown_critical_extension: false,
    };
    while !reader.is_finished() {
        let part = AnyRef::decode(reader)?;
        if part.tag() == (Tag::ContextSpecific { constructed: true, number: TagNumber(3) }) {
            let mut extensions = SliceReader::new(part.value())?;
            extensions.sequence(|reader| certificate.read_extensions(reader))?;
            extensions.finish()?;
        }
    }
    Ok(certificate)
}

fn moment(reader: &mut SliceReader<'_>) -> Result<Moment> {
    let time = AnyRef::decode(reader)?;
    let seconds = match (time.tag(), time.value()) {
        // The year has two digits, and 50 is 1950 (RFC 5280, section 4.1.2.5.1).
        (Tag::UtcTime, [b'5' | b'6', _, ..]) => return Ok(Moment::Before1970),
        (Tag::UtcTime, _) => time.decode_as::<UtcTime>()?.to_unix_duration(),
        (Tag::GeneralizedTime, text) if text < &b"1970"[..] => return Ok(Moment::Before1970),
        _ => time.decode_as::<GeneralizedTime>()?.to_unix_duration(),
    };
    Ok(Moment::Since1970(seconds.as_secs()))
}

impl<'a> Certificate<'a> {
    fn read_extensions(&mut self, reader: &mut SliceReader<'a>) -> Result<()> {
        while !reader.is_finished() {
            reader.sequence(|reader| {
                let id = ObjectIdentifier::decode(reader)?;
                let is_critical = Option::<bool>::decode(reader)?.unwrap_or(false);
                let value = <&OctetStringRef>::decode(reader)?.as_bytes();
                self.read_extension(id, is_critical, value)
            })?;
        }
        Ok(())
    }

    fn read_extension(
        &mut self,
        id: ObjectIdentifier,
        is_critical: bool,
        value: &'a [u8],
    ) -> Result<()> {
        if is(id, BASIC_CONSTRAINTS) {
            self.basic_constraints = Some(basic_constraints(value)?);
        } else if is(id, KEY_USAGE) {
            let usage = BitStringRef::from_der(value)?;
            self.may_certify = Some(usage.get(CERTIFICATE_SIGN) == Some(true));
        } else if is(id, EXTENDED_KEY_USAGE) {
            self.may_serve = Some(has_purpose(value, SERVER)?);
            self.may_be_clients = Some(has_purpose(value, CLIENT)?);
        } else if is(id, ALTERNATIVE_NAMES) {
            // What cannot be read is for no name: the library cannot read it either.
            self.has_names = has_names(value).unwrap_or(false);
        } else if is(id, SUBJECT_KEY_ID) {
            self.subject_key_id = Some(<&OctetStringRef>::from_der(value)?.as_bytes());
        } else if is(id, AUTHORITY_KEY_ID) {
            self.authority_key_id = authority_key_id(value)?;
        } else if is_critical && !UNDERSTOOD.iter().any(|name| is(id, name)) {
            self.has_unknown_critical_extension = true;
        }
        Ok(())
    }
}

fn is(id: ObjectIdentifier, name: &str) -> bool {
    id == ObjectIdentifier::new_unwrap(name)
}

fn basic_constraints(value: &[u8]) -> Result<BasicConstraints> {
    SliceReader::new(value)?.sequence(|reader| {
        let is_authority = Option::<bool>::decode(reader)?.unwrap_or(false);
        // A length that no chain reaches is not a limit.
        let length = Option::<UintRef<'_>>::decode(reader)?;
        let path_length_max = length.and_then(|length| match *length.as_bytes() {
            [] => Some(0),
            [low] => Some(usize::from(low)),
            [high, low] => Some(usize::from(u16::from_be_bytes([high, low]))),
            _ => None,
        });
        Ok(BasicConstraints { is_authority, path_length_max })
    })
}

fn has_purpose(value: &[u8], purpose: &str) -> Result<bool> {
    let known = [purpose, ANY_PURPOSE].map(ObjectIdentifier::new_unwrap);
    SliceReader::new(value)?.sequence(|reader| {
        let mut has_purpose = false;
        while !reader.is_finished() {
            has_purpose |= known.contains(&ObjectIdentifier::decode(reader)?);
        }
        Ok(has_purpose)
    })
}

fn has_names(value: &[u8]) -> Result<bool> {
    const DNS_NAME: TagNumber = TagNumber(2);
    const IP_ADDRESS: TagNumber = TagNumber(7);
    SliceReader::new(value)?.sequence(|reader| {
        let mut has_names = false;
        while !reader.is_finished() {
            let tag = AnyRef::decode(reader)?.tag();
            has_names |= [DNS_NAME, IP_ADDRESS]
                .map(|number| Tag::ContextSpecific { constructed: false, number })
                .contains(&tag);
        }
        Ok(has_names)
    })
}

fn authority_key_id(value: &[u8]) -> Result<Option<&[u8]>> {
    SliceReader::new(value)?.sequence(|reader| {
        let mut id = None;
        while !reader.is_finished() {
            let part = AnyRef::decode(reader)?;
            if part.tag() == (Tag::ContextSpecific { constructed: false, number: TagNumber(0) }) {
                id = Some(part.value());
            }
        }
        Ok(id)
    })
}

impl Key<'_> {
    /// Whether signatures by this key can be verified here.
    pub(super) fn is_supported(&self) -> bool {
        let mut known = SIGNATURES.all.iter().map(|algorithm| algorithm.public_key_alg_id());
        let is_rsa = *self.algorithm == *rustls::pki_types::alg_id::RSA_ENCRYPTION;
        known.any(|id| *id == *self.algorithm) && (!is_rsa || self.is_rsa_of_size())
    }

    fn is_rsa_of_size(&self) -> bool {
        let modulus = SliceReader::new(self.key).and_then(|mut reader| {
            reader.sequence(|reader| {
                let [modulus, _exponent] = [UintRef::decode(reader)?, UintRef::decode(reader)?];
                Ok::<_, der::Error>(modulus)
            })
        });
        modulus.is_ok_and(|modulus| RSA_BITS.contains(&bits(modulus.as_bytes())))
    }
}

/// The length of a number in bits.
fn bits(bytes: &[u8]) -> usize {
    8 * bytes.len() - bytes.first().map_or(0, |byte| byte.leading_zeros()) as usize
}

// ------------------------------------------------------------------------------- names

/// A name as a text, in the order of Go and RFC 4514: the most specific part first.
pub(super) fn name(name: &[u8]) -> String {
    let mut text = String::new();
    match write_name(name, &mut text) {
        Ok(()) => text,
        Err(_) => "unreadable".to_owned(),
    }
}

fn write_name(name: &[u8], text: &mut String) -> Result<()> {
    let mut reader = SliceReader::new(name)?;
    let mut parts = Vec::new();
    while !reader.is_finished() {
        parts.push(AnyRef::decode(&mut reader)?);
    }
    for part in parts.iter().rev() {
        let mut reader = SliceReader::new(part.value())?;
        while !reader.is_finished() {
            let separator = if text.is_empty() { "" } else { "," };
            let (id, value) = reader.sequence(|reader| {
                Ok::<_, der::Error>((ObjectIdentifier::decode(reader)?, AnyRef::decode(reader)?))
            })?;
            let id = Attribute(id);
            let value = string(value);
            write!(text, "{separator}{id}={value}").map_err(|_| ErrorKind::Failed)?;
        }
    }
    Ok(())
}

/// The text of a string in a name, also of one with two bytes for each character (BMPString).
fn string(value: AnyRef<'_>) -> String {
    match value.tag() {
        Tag::BmpString => {
            let units: Vec<u16> = value
                .value()
                .chunks_exact(2)
                .map(|two| u16::from_be_bytes([two[0], two[1]]))
                .collect();
            String::from_utf16_lossy(&units)
        }
        _ => String::from_utf8_lossy(value.value()).into_owned(),
    }
}

/// The kind of a part of a name. Displays as its usual letters, or as its number.
struct Attribute(ObjectIdentifier);

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const USUAL: [(&str, &str); 8] = [
            ("2.5.4.3", "CN"),
            ("2.5.4.5", "SERIALNUMBER"),
            ("2.5.4.6", "C"),
            ("2.5.4.7", "L"),
            ("2.5.4.8", "ST"),
            ("2.5.4.10", "O"),
            ("2.5.4.11", "OU"),
            ("0.9.2342.19200300.100.1.25", "DC"),
        ];
        let known = USUAL.iter().find(|(id, _)| self.0 == ObjectIdentifier::new_unwrap(id));
        match known {
            Some((_, letters)) => f.write_str(letters),
            None => self.0.fmt(f),
        }
    }
}
