//! Services as registries write them into etcd: a JSON object, or plain `host:port`.
//!
//! Owns which field is the address and which the weight. Which keys are services, and what is done
//! with a value that cannot be read, is decided elsewhere.
//!
//! | written by | value |
//! |---|---|
//! | etcd, `naming` and `naming/endpoints` | `{"Op":0,"Addr":"1.2.3.4:5","Metadata":null}` |
//! | Kitex, Hertz | `{"network":"tcp","address":"1.2.3.4:5","weight":10,"tags":{}}` |
//! | Kratos | `{"metadata":{"weight":"10"},"endpoints":["grpc://1.2.3.4:5?isSecure=false"]}` |
//! | go-micro | `{"endpoints":[{..}],"nodes":[{"address":"1.2.3.4:5","metadata":{}}]}` |
//! | Dubbo, Spring Cloud | `{"address":"1.2.3.4","port":5}`, `{"host":"1.2.3.4","port":5}` |
//! | CoreDNS, SkyDNS | `{"host":"1.2.3.4","port":5,"weight":10}` |
//! | go-zero | `1.2.3.4:5` |
//! | Traefik | `http://1.2.3.4:5/` |

use serde_json::{Map, Value};

use super::json::{self, Malformed};
use super::server::{self, Server, SkipReason};
use crate::config::address::Host;
use crate::config::{REGISTRY_ADDRESSES_MAX, REGISTRY_VALUE_BYTES_MAX};

/// Fields that have the address, in this order; a text, or an array of texts.
const ADDRESS_FIELDS: &[&str] = &["addr", "address", "endpoint", "endpoints", "url"];
/// Fields that have the host, where there is a field `port`.
const HOST_FIELDS: &[&str] = &["host", "ip", "addr", "address"];
/// Field that has objects with an address each.
const NODES_FIELD: &str = "nodes";

/// A service as it is registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// An address or a name, never `0.0.0.0` or `::`.
    pub host: Host,
    /// The port, 1-65535.
    pub port: u16,
    /// What is said of its share of the connections.
    pub weight: Weight,
}

/// What a value says of the share of the connections that a service should have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Nothing.
    Unstated,
    /// A whole number from 0 to 65535.
    Stated(u16),
    /// Something else, as a negative number, a fraction or a word. The service works all the same:
    /// it counts as one whose weight is not stated, which is worth a line of the log.
    Invalid,
}

impl Weight {
    /// The weight, if there is one that can be used.
    pub fn stated(self) -> Option<u16> {
        match self {
            Weight::Stated(weight) => Some(weight),
            Weight::Unstated | Weight::Invalid => None,
        }
    }
}

/// Reads the value of a registered service. Names of fields count in any case; of several addresses
/// the first that can be dialed counts: a service has one for each protocol that it speaks.
///
/// # Errors
/// [`SkipReason`]; of several addresses that of the first.
pub fn parse(value: &[u8]) -> Result<Service, SkipReason> {
    let value = value.trim_ascii();
    if value.is_empty() {
        return Err(SkipReason::Empty);
    }
    if value.len() > REGISTRY_VALUE_BYTES_MAX {
        return Err(SkipReason::TooLarge);
    }
    if value.starts_with(b"{") {
        let object =
            json::object(value, REGISTRY_VALUE_BYTES_MAX).map_err(|error| match error {
                Malformed::TooLarge => SkipReason::TooLarge,
                Malformed::NotJson | Malformed::NotEtcd => SkipReason::Unparsable,
            })?;
        return of_object(&object);
    }
    let text = str::from_utf8(value).map_err(|_| SkipReason::Unparsable)?;
    // JSON, too: a text.
    let text = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    let Server { scheme: _, host, port } = server::parse(text)?;
    Ok(Service { host, port, weight: Weight::Unstated })
}

fn of_object(object: &Map<String, Value>) -> Result<Service, SkipReason> {
    let (host, port) = match address(object) {
        Err(SkipReason::AddressMissing) => return of_nodes(object),
        found => found?,
    };
    Ok(Service { host, port, weight: weight(object) })
}

/// The first service among the nodes of an object. A weight that the node does not state is that of
/// the object.
fn of_nodes(object: &Map<String, Value>) -> Result<Service, SkipReason> {
    let Some(Value::Array(nodes)) = field(object, NODES_FIELD) else {
        return Err(SkipReason::AddressMissing);
    };
    let mut first_problem = None;
    for node in nodes.iter().take(REGISTRY_ADDRESSES_MAX).filter_map(Value::as_object) {
        match address(node) {
            Ok((host, port)) => {
                let weight = match weight(node) {
                    Weight::Unstated => weight(object),
                    own => own,
                };
                return Ok(Service { host, port, weight });
            }
            Err(problem) => first_problem = first_problem.or(Some(problem)),
        }
    }
    Err(first_problem.unwrap_or(SkipReason::AddressMissing))
}

fn address(object: &Map<String, Value>) -> Result<(Host, u16), SkipReason> {
    if let Some(found) = host_and_port(object) {
        return found;
    }
    let mut first_problem = None;
    for text in ADDRESS_FIELDS.iter().flat_map(|name| texts(field(object, name))) {
        match server::parse(text) {
            Ok(Server { host, port, .. }) => return Ok((host, port)),
            Err(problem) => first_problem = first_problem.or(Some(problem)),
        }
    }
    Err(first_problem.unwrap_or(SkipReason::AddressMissing))
}

/// The address of an object that has a field `port` and a host without one.
fn host_and_port(object: &Map<String, Value>) -> Option<Result<(Host, u16), SkipReason>> {
    let port = match field(object, "port")? {
        Value::Number(port) => port.to_string(),
        Value::String(port) => port.clone(),
        _ => return None,
    };
    let host = HOST_FIELDS.iter().find_map(|name| field(object, name)?.as_str())?;
    // The host may have a port of its own, which is the one that clients are to use.
    if let Ok(Server { host, port, .. }) = server::parse(host) {
        return Some(Ok((host, port)));
    }
    let is_bare_ipv6 = host.matches(':').count() > 1 && !host.starts_with('[');
    let text = if is_bare_ipv6 { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    Some(server::parse(&text).map(|Server { host, port, .. }| (host, port)))
}

/// The texts of a field, of which it has one or an array.
fn texts(value: Option<&Value>) -> impl Iterator<Item = &str> {
    let values = match value {
        Some(Value::Array(values)) => values.as_slice(),
        Some(value) => std::slice::from_ref(value),
        None => &[],
    };
    let texts = values.iter().take(REGISTRY_ADDRESSES_MAX).filter_map(Value::as_str);
    texts.filter(|text| !text.is_empty())
}

/// The field of a name that is given in small letters, in any case.
fn field<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let fields = object.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
    fields.map(|(_, value)| value).find(|value| !value.is_null())
}

/// The weight of an object: its own, or that of its metadata, which may be an object, the text of
/// one, or the weight itself.
fn weight(object: &Map<String, Value>) -> Weight {
    if let Some(weight) = field(object, "weight") {
        return number(weight);
    }
    match field(object, "metadata") {
        Some(Value::Object(metadata)) => of_metadata(metadata),
        Some(Value::Number(number)) => of_number(number.as_f64()),
        Some(Value::String(text)) if text.trim_start().starts_with('{') => {
            match json::object(text.as_bytes(), REGISTRY_VALUE_BYTES_MAX) {
                Ok(metadata) => of_metadata(&metadata),
                Err(_) => Weight::Unstated,
            }
        }
        // A text that is not a number says something else.
        Some(Value::String(text)) => text.trim().parse().map_or(Weight::Unstated, Weight::Stated),
        _ => Weight::Unstated,
    }
}

fn of_metadata(metadata: &Map<String, Value>) -> Weight {
    field(metadata, "weight").map_or(Weight::Unstated, number)
}

/// The weight in a field of that name: a number, or the text of one.
fn number(value: &Value) -> Weight {
    match value {
        Value::Number(number) => of_number(number.as_f64()),
        Value::String(text) if text.trim().is_empty() => Weight::Unstated,
        Value::String(text) => of_number(text.trim().parse().ok()),
        _ => Weight::Invalid,
    }
}

/// A number of JSON is one of floating point where it is written as `10.0`, as some languages do.
fn of_number(number: Option<f64>) -> Weight {
    match number {
        Some(number) if (0.0..=65535.0).contains(&number) && number.fract() == 0.0 => {
            Weight::Stated(number as u16)
        }
        _ => Weight::Invalid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &str, server: &str, weight: Weight) {
        let found = parse(value.as_bytes()).expect(value);
        assert_eq!(format!("{}:{}", found.host, found.port), server, "{value}");
        assert_eq!(found.weight, weight, "{value}");
    }

    #[test]
    fn values_of_registries_in_use() {
        use Weight::{Stated, Unstated};
        for (value, server, weight) in [
            (r#"{"Op":0,"Addr":"1.2.3.4:5","Metadata":null}"#, "1.2.3.4:5", Unstated),
            (r#"{"Op":0,"Addr":"1.2.3.4:5","Metadata":"blue"}"#, "1.2.3.4:5", Unstated),
            (r#"{"Addr":"1.2.3.4:5","Metadata":"7"}"#, "1.2.3.4:5", Stated(7)),
            (r#"{"Addr":"1.2.3.4:5","Metadata":7}"#, "1.2.3.4:5", Stated(7)),
            (r#"{"Addr":"1.2.3.4:5","Metadata":{"Weight":7}}"#, "1.2.3.4:5", Stated(7)),
            (r#"{"Addr":"1.2.3.4:5","Metadata":"{\"weight\":7}"}"#, "1.2.3.4:5", Stated(7)),
            (
                r#"{"network":"tcp","address":"1.2.3.4:5","weight":10,"tags":null}"#,
                "1.2.3.4:5",
                Stated(10),
            ),
            (
                r#"{"id":"a","name":"b","version":"v1","metadata":{"weight":"10"},
                "endpoints":["grpc://1.2.3.4:5?isSecure=false","http://1.2.3.4:6"]}"#,
                "1.2.3.4:5",
                Stated(10),
            ),
            (
                r#"{"name":"a","version":"latest","metadata":null,"endpoints":[{"name":"A.B",
                "request":{"name":"R","type":"R","values":[]},"metadata":{}}],
                "nodes":[{"id":"a-1","address":"1.2.3.4:5","metadata":{"weight":"3"}}]}"#,
                "1.2.3.4:5",
                Stated(3),
            ),
            (r#"{"name":"a","address":"1.2.3.4","port":20000}"#, "1.2.3.4:20000", Unstated),
            (r#"{"serviceId":"a","host":"a.example","port":"80"}"#, "a.example:80", Unstated),
            (
                r#"{"host":"2001:db8::1","port":80,"priority":20,"weight":0,"ttl":60}"#,
                "[2001:db8::1]:80",
                Stated(0),
            ),
            ("1.2.3.4:5", "1.2.3.4:5", Unstated),
            (" [2001:db8::1]:5\n", "[2001:db8::1]:5", Unstated),
            ("\"1.2.3.4:5\"", "1.2.3.4:5", Unstated),
            ("http://a.example:80/", "a.example:80", Unstated),
            ("grpc://127.0.0.1:5", "127.0.0.1:5", Unstated),
        ] {
            check(value, server, weight);
        }
    }

    #[test]
    fn fields_count_in_any_case_and_in_one_order() {
        for value in [
            r#"{"ADDR":"a:1"}"#,
            r#"{"Address":"a:1"}"#,
            r#"{"endPoint":"http://a:1"}"#,
            r#"{"URL":"https://a:1/x"}"#,
            r#"{"HOST":"a","Port":1}"#,
            r#"{"ip":"a","port":"1"}"#,
            r#"{"addr":"a:1","address":"b:2","host":"c"}"#,
            r#"{"addr":null,"address":"a:1"}"#,
            r#"{"addr":"","address":"a:1"}"#,
            r#"{"addr":"0.0.0.0:1","address":"a:1"}"#,
            r#"{"endpoints":["unix:///x","a:1","b:2"]}"#,
            r#"{"addr":"a:1","port":2}"#,
            r#"{"host":"http://a","port":1}"#,
            r#"{"host":"a","port":1,"addr":"b:2"}"#,
            r#"{"nodes":[7,{},{"address":"x"},{"address":"a:1"}]}"#,
            r#"{"addr":"b:2","addr":"a:1"}"#,
        ] {
            check(value, "a:1", Weight::Unstated);
        }
    }

    #[test]
    fn weights_are_whole_numbers_from_0_to_65535() {
        use Weight::{Invalid, Stated, Unstated};
        for (weight, want) in [
            ("0", Stated(0)),
            ("65535", Stated(65535)),
            ("10.0", Stated(10)),
            ("1e2", Stated(100)),
            ("\"10\"", Stated(10)),
            ("\" 10 \"", Stated(10)),
            ("\"\"", Unstated),
            ("null", Unstated),
            ("65536", Invalid),
            ("-1", Invalid),
            ("0.5", Invalid),
            ("\"0.5\"", Invalid),
            ("\"-1\"", Invalid),
            ("\"heavy\"", Invalid),
            ("\"NaN\"", Invalid),
            ("\"inf\"", Invalid),
            ("true", Invalid),
            ("[1]", Invalid),
            ("{}", Invalid),
        ] {
            check(&format!(r#"{{"Addr":"a:1","Weight":{weight}}}"#), "a:1", want);
            check(&format!(r#"{{"Addr":"a:1","Metadata":{{"weight":{weight}}}}}"#), "a:1", want);
        }
        for (metadata, want) in [
            ("\"-1\"", Unstated),
            ("\"{\"", Unstated),
            ("-1", Invalid),
            ("[7]", Unstated),
            ("true", Unstated),
        ] {
            check(&format!(r#"{{"Addr":"a:1","Metadata":{metadata}}}"#), "a:1", want);
        }
        assert_eq!(
            (Stated(7).stated(), Invalid.stated(), Unstated.stated()),
            (Some(7), None, None)
        );
    }

    #[test]
    fn values_that_cannot_be_read_have_a_reason() {
        let deep = format!("{{\"a\":{}", "[".repeat(1000));
        let wide = format!("{{\"a\":[{}0]}}", "0,".repeat(30_000));
        let long = "a".repeat(REGISTRY_VALUE_BYTES_MAX + 1);
        for (value, want) in [
            ("", SkipReason::Empty),
            (" \n", SkipReason::Empty),
            ("{}", SkipReason::AddressMissing),
            (r#"{"name":"a"}"#, SkipReason::AddressMissing),
            (r#"{"addr":7}"#, SkipReason::AddressMissing),
            (r#"{"port":7}"#, SkipReason::AddressMissing),
            (r#"{"nodes":[]}"#, SkipReason::AddressMissing),
            (r#"{"endpoints":[{"name":"A.B"}]}"#, SkipReason::AddressMissing),
            (r#"{"addr":"1.2.3.4"}"#, SkipReason::PortMissing),
            (r#"{"host":"1.2.3.4"}"#, SkipReason::AddressMissing),
            (r#"{"host":"a","port":70000}"#, SkipReason::Unparsable),
            (r#"{"host":"a","port":0}"#, SkipReason::Unparsable),
            (r#"{"host":"a","port":1.5}"#, SkipReason::Unparsable),
            (r#"{"host":"0.0.0.0","port":1}"#, SkipReason::Wildcard),
            (r#"{"host":"::","port":1}"#, SkipReason::Wildcard),
            (r#"{"Addr":"[::]:8080"}"#, SkipReason::Wildcard),
            (r#"{"Addr":":8080"}"#, SkipReason::Unparsable),
            (r#"{"Addr":"unix:///run/a"}"#, SkipReason::UnixSocket),
            (r#"{"endpoints":["[::]:1","x"]}"#, SkipReason::Wildcard),
            (r#"{"Addr":"1.2.3.4:5""#, SkipReason::Unparsable),
            ("[\"1.2.3.4:5\"]", SkipReason::Unparsable),
            ("1.2.3.4:5,1.2.3.4:6", SkipReason::Unparsable),
            ("null", SkipReason::PortMissing),
            ("\"", SkipReason::Unparsable),
            (deep.as_str(), SkipReason::Unparsable),
            (wide.as_str(), SkipReason::AddressMissing),
            (long.as_str(), SkipReason::TooLarge),
        ] {
            assert_eq!(parse(value.as_bytes()), Err(want), "{value:.99}");
        }
        assert_eq!(parse(b"\xff:1"), Err(SkipReason::Unparsable));
    }
}
