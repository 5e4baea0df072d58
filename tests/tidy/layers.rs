//! Rules of layers: who may import whom, and who may name the system.

use crate::finding::{Finding, finding};
use crate::imports::{Import, crate_paths, imports};
use crate::manifest::DEPENDENCIES;
use crate::source::{Source, modules};

/// Crates that are sockets, descriptors, the kernel or what is said over sockets: `src/net` alone
/// may name them, unless its layer has the crate in its list.
pub const SYSTEM_CRATES: &[&str] =
    &["mio", "socket2", "nix", "libc", "rustix", "rustls", "rustls_native_certs", "webpki", "ring"];

/// A folder of `src`, or a module of one file there.
struct Layer {
    name: &'static str,
    /// Paths of this crate that it may import, apart from its own and those of leaves.
    imports: &'static [&'static str],
    /// Crates that it may name apart from std, where not all of the dependency card.
    crates: Option<&'static [&'static str]>,
    /// Whether every layer may import it.
    is_leaf: bool,
    instead: &'static str,
}

const fn layer(
    name: &'static str,
    imports: &'static [&'static str],
    instead: &'static str,
) -> Layer {
    Layer { name, imports, crates: None, is_leaf: false, instead }
}

/// A layer that decides: no socket, no clock, no log, unless by one of these crates.
const fn pure(
    name: &'static str,
    imports: &'static [&'static str],
    crates: &'static [&'static str],
) -> Layer {
    let instead = "take what it needs as an argument, or return it, instead";
    Layer { name, imports, crates: Some(crates), is_leaf: false, instead }
}

/// A module that every layer may import, and that imports none.
const fn leaf(name: &'static str, crates: &'static [&'static str]) -> Layer {
    Layer {
        name,
        imports: &[],
        crates: Some(crates),
        is_leaf: true,
        instead: "keep to std instead",
    }
}

/// Who may import whom, from the top down. Nothing imports `main` or `reactor`.
const LAYERS: &[Layer] = &[
    layer(
        "main",
        &["config", "reactor", "net", "upstream", "discovery", "observe", "startup", "status"],
        "let config, reactor or net hand it over instead",
    ),
    layer(
        "reactor",
        &["relay", "upstream", "discovery", "proto", "observe", "net", "config"],
        "use the trait and the outcomes in crate::net instead",
    ),
    layer(
        "net",
        &["config::limits", "proto"],
        "return an outcome of crate::net and let the reactor act instead",
    ),
    layer(
        "startup",
        &["config", "net", "observe"],
        "let main decide what is configured and run instead",
    ),
    layer("status", &["net", "config"], "let net ask and print what it returns instead"),
    layer("config", &[], "use plain std types and let main convert them instead"),
    pure(
        "discovery",
        &[
            "upstream",
            "proto",
            "config::limits",
            "config::address",
            "config::discovery_srv",
            "config::health",
            "config::registry",
            "config::special_address",
        ],
        &["slab"],
    ),
    pure(
        "proto",
        &["config::limits", "config::address"],
        &["data_encoding", "domain", "httparse", "serde_json"],
    ),
    pure(
        "observe",
        &[
            "relay::ending",
            "relay::step::Side",
            "upstream::CheckCounts",
            "upstream::DialFailure",
            "upstream::Dials",
            "upstream::Endpoint",
            "upstream::EndpointId",
            "upstream::EndpointSet",
            "upstream::Health",
            "upstream::Standing",
            "upstream::CheckState",
            "upstream::Tally",
            "discovery::Lookups",
            "discovery::ResolveError",
            "proto::dns::Failure",
            "config::limits",
            "config::duration",
            "config::admin",
        ],
        &["jiff", "log"],
    ),
    pure("relay", &["upstream::EndpointId"], &[]),
    pure("upstream", &[], &[]),
    leaf("address", &[]),
    leaf("arena", &["slab"]),
    leaf("readiness", &[]),
    leaf("recent", &[]),
    leaf("scheme", &[]),
    leaf("usage", &[]),
];

fn layer_of(module: &str) -> Option<&'static Layer> {
    LAYERS.iter().find(|layer| layer.name == module)
}

fn layer_of_file(source: &Source) -> Option<&'static Layer> {
    layer_of(source.is_in(&["src/"]).then(|| source.module())?.first()?)
}

impl Layer {
    fn may_import(&self, path: &[String]) -> bool {
        let is_leaf = layer_of(&path[0]).is_some_and(|layer| layer.is_leaf);
        let listed = self.imports.iter().any(|of| {
            let target = path.join("::");
            target == **of || target.starts_with(&format!("{of}::"))
        });
        path[0] == self.name || is_leaf || listed
    }
}

pub fn layers(source: &Source) -> Vec<Finding> {
    if !source.is_in(&["src/"]) || source.path == "src/lib.rs" {
        return Vec::new();
    }
    let module = source.module();
    let Some(own) = layer_of(&module[0]) else {
        let message = format!("no layer `{}`: use one of LAYERS in tests/tidy instead", module[0]);
        return vec![finding(1, message)];
    };
    let mut findings = Vec::new();
    for (line, mut path) in crate_paths(source) {
        // The numbers of config are those of its limits, which it exports as its own.
        if path[0] == "config" && path.get(1).is_some_and(|name| is_constant(name)) {
            path.insert(1, "limits".to_owned());
        }
        // The reactor knows the trait and the outcomes in net/mod.rs; a small letter is a module.
        let behind_trait = own.name == "reactor"
            && path[0] == "net"
            && path.get(1).is_some_and(|name| name.starts_with(char::is_lowercase));
        // The traits are above their implementations, which nothing else of them needs.
        let from_trait = module == ["net"]
            && !["net", "proto"].contains(&path[0].as_str())
            && !layer_of(&path[0]).is_some_and(|layer| layer.is_leaf);
        if !own.may_import(&path) || behind_trait || from_trait {
            let message =
                format!("{} must not import {}: {}", own.name, path.join("::"), own.instead);
            findings.push(finding(line, message));
        }
    }
    findings
}

fn is_constant(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

/// A layer that decides names std alone, and the crates of its list.
pub fn std_alone(source: &Source) -> Vec<Finding> {
    let Some(own) = layer_of_file(source).and_then(|layer| layer.crates) else {
        return Vec::new();
    };
    let mut ours = modules(&source.code);
    ours.extend(["std", "core", "alloc", "crate", "super", "self"].map(str::to_owned));
    ours.extend(own.iter().map(|name| (*name).to_owned()));
    let mut findings = Vec::new();
    for import in imports(&source.production()) {
        let root = import.path[0].as_str();
        let is_crate = DEPENDENCIES.contains(&root) || SYSTEM_CRATES.contains(&root);
        let is_use = import.name.is_some() && root.starts_with(char::is_lowercase);
        let is_own = own.contains(&root);
        if (is_crate && !is_own) || (is_use && !ours.iter().any(|name| name == root)) {
            let message = format!("`{root}` in a pure module: use std or an argument instead");
            findings.push(finding(import.line, message));
        }
    }
    findings
}

/// Paths into the system, wherever a `use` or an expression names them.
pub fn system_paths(source: &Source) -> Vec<Finding> {
    if !source.is_in(&["src/"]) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    let listed = layer_of_file(source).and_then(|layer| layer.crates).unwrap_or_default();
    for Import { line, path, .. } in imports(&source.production()) {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        if listed.contains(&path[0]) {
            continue;
        }
        let message = match path.as_slice() {
            [root, ..] if SYSTEM_CRATES.contains(root) => "use the trait crate::net::Net instead",
            ["std", "net", name, ..] if name.starts_with("Tcp") || *name == "UdpSocket" => {
                "use Net::Stream or Net::Listener of the trait crate::net::Net instead"
            }
            ["std", "os", "unix", "net", ..] => "put the socket into src/net instead",
            ["std", "io", ..] if source.is_in(&["src/reactor/", "src/relay/", "src/upstream/"]) => {
                "use crate::net::NetError and the outcomes instead"
            }
            _ => continue,
        };
        if !source.is_in(&["src/net/"]) || path.starts_with(&["std", "io"]) {
            findings.push(finding(line, format!("{} here: {message}", path.join("::"))));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::{fires, keeps_still};

    #[test]
    fn rule_layers_fires() {
        let cases = [
            ("src/main.rs", "use etcd_gateway::relay::Pair;"),
            ("src/main.rs", "etcd_gateway::proto::dns::a();"),
            ("src/config/flags/parse.rs", "use crate::net::Net;"),
            ("src/config/address.rs", "use super::super::upstream::Spec;"),
            ("src/reactor/mod.rs", "use crate::{\n config::Config, other::A};"),
            ("src/reactor/mod.rs", "use crate::net::mio::Real;"),
            ("src/reactor/mod.rs", "use crate::net;\nfn a() { net::signal::b(); }"),
            ("src/net/mio.rs", "use crate::relay::Pair;"),
            ("src/net/mio.rs", "use crate::config::Config;"),
            ("src/net/mod.rs", "use crate::config::Config;"),
            ("src/discovery/mod.rs", "use crate::net::Net;"),
            ("src/relay/flow.rs", "use crate::upstream::{EndpointId, EndpointSet};"),
            ("src/relay/mod.rs", "use super::net::Read;"),
            ("src/upstream/mod.rs", "fn a(b: &crate::config::Config) {}"),
            ("src/observe/metrics.rs", "use crate::net::NetError;"),
            ("src/readiness.rs", "use crate::config::Config;"),
            ("src/net/mio.rs", "use crate::reactor::token::Token;"),
            ("src/relay/mod.rs", "use crate::config::BUFFER_BYTES;"),
            ("src/upstream/mod.rs", "use crate::reactor::Reactor;"),
            ("src/proto/dns/mod.rs", "use crate::config::Config;"),
            ("src/discovery/srv.rs", "use crate::config::flags::Typed;"),
            ("src/arena.rs", "use crate::proto::dns::Name;"),
            ("src/other/mod.rs", ""),
        ];
        for (path, text) in cases {
            let line = text.lines().count().max(1);
            fires(layers, path, text, line, "instead");
        }
    }

    #[test]
    fn rule_layers_keeps_still() {
        let cases = [
            ("src/main.rs", "use etcd_gateway::{config::Config, net::mio::Real, reactor};"),
            ("src/main.rs", "use etcd_gateway::{upstream, discovery, observe::events::Event};"),
            ("src/config/flags/help.rs", "use crate::config::limits::DURATION_MAX;"),
            ("src/config/mod.rs", "mod flags;\nuse flags::parse;"),
            (
                "src/reactor/relays/pump.rs",
                "use super::Relays;\nuse crate::net::{self, Net, Read};",
            ),
            (
                "src/reactor/relays/pump.rs",
                "use crate::{relay::Pair, upstream, discovery, observe, config};",
            ),
            ("src/reactor/relays/pump.rs", "use std::net::SocketAddr;\nfn a() { net::Read::Eof; }"),
            (
                "src/net/mio.rs",
                "use super::{Net, signal::Signals};\nuse crate::config::limits::KEEPALIVE;",
            ),
            ("src/net/mio.rs", "use ::mio::Poll;\nuse mio::net::TcpStream;"),
            ("src/relay/mod.rs", "use self::flow::Flow;\nuse crate::upstream::EndpointId;"),
            ("src/upstream/mod.rs", "// crate::net\nuse super::upstream::pick;\nuse std::fmt;"),
            ("src/upstream/mod.rs", "#[cfg(test)]\nmod tests { use crate::net::Net; }"),
            ("src/net/mod.rs", "use crate::readiness::Readiness;"),
            ("src/relay/step.rs", "use crate::readiness::Readiness;"),
            ("src/readiness.rs", "use std::fmt;\nuse crate::arena::Key;"),
            ("src/net/mod.rs", "use crate::proto::tls::Session;"),
            ("src/proto/dns/mod.rs", "use crate::config::{DNS_TTL_MAX, limits::DNS_TIMEOUT};"),
            ("src/discovery/srv.rs", "use crate::config::discovery_srv::Trust;"),
            ("src/lib.rs", "pub mod net;"),
            ("tests/it/main.rs", "use etcd_gateway::relay::Pair;"),
        ];
        for (path, text) in cases {
            keeps_still(layers, path, text);
        }
    }

    #[test]
    fn rule_std_alone() {
        fires(std_alone, "src/relay/mod.rs", "use log::debug;", 1, "use std");
        fires(std_alone, "src/relay/mod.rs", "use rand::Rng;", 1, "use std");
        fires(std_alone, "src/upstream/pick.rs", "\nlet a = slab::Slab::new();", 2, "use std");
        let good =
            "use std::fmt;\nuse super::flow;\nuse Side::*;\nuse crate::relay::A;\nflow::next();";
        keeps_still(std_alone, "src/relay/mod.rs", good);
        fires(std_alone, "src/proto/dns/query.rs", "use log::debug;", 1, "use std");
        fires(std_alone, "src/discovery/mod.rs", "use domain::base::Name;", 1, "use std");
        keeps_still(std_alone, "src/proto/dns/name.rs", "use domain::base::Name;");
        keeps_still(std_alone, "src/reactor/mod.rs", "use slab::Slab;");
        keeps_still(std_alone, "src/relay/mod.rs", "mod flow;\npub use flow::{Flow, Step};");
    }

    #[test]
    fn rule_system_paths() {
        let sockets = [
            "use std::net::{\nTcpStream};",
            "let a =\nstd::net::TcpListener::bind(b);",
            "use std::net::\nUdpSocket;",
            "use std::os::unix::net::\n{UnixDatagram};",
            "\nuse mio::Poll;",
            "\nsocket2::Socket::new();",
            "\nnix::sys::signal::kill();",
        ];
        for text in sockets {
            fires(system_paths, "src/main.rs", text, 2, "instead");
            keeps_still(system_paths, "src/net/mio.rs", text);
            keeps_still(system_paths, "tests/it/main.rs", text);
        }
        for text in ["use std::io;", "fn a(b: std::io::Error) {}", "use std::{fmt, io::ErrorKind};"]
        {
            fires(system_paths, "src/reactor/mod.rs", text, 1, "use crate::net::NetError");
            fires(system_paths, "src/relay/mod.rs", text, 1, "use crate::net::NetError");
            fires(system_paths, "src/upstream/mod.rs", text, 1, "use crate::net::NetError");
            keeps_still(system_paths, "src/main.rs", text);
        }
        let good = "use std::net::SocketAddr;\nuse etcd_gateway::net::mio::Real;\nuse a::{mio::B};";
        keeps_still(system_paths, "src/main.rs", good);
    }
}
