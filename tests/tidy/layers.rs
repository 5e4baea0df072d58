//! Rules of layers: who may import whom, and who may name the system.

use crate::finding::{Finding, finding};
use crate::imports::{Import, crate_paths, imports};
use crate::manifest::DEPENDENCIES;
use crate::source::{Source, modules};

/// Pure modules, and the crates that each may name apart from std.
pub const PURE: &[(&str, &[&str])] = &[
    ("src/address.rs", &[]),
    ("src/arena.rs", &["slab"]),
    ("src/readiness.rs", &[]),
    ("src/recent.rs", &[]),
    ("src/relay/", &[]),
    ("src/upstream/", &[]),
    ("src/proto/", &["domain"]),
    ("src/observe/", &["log"]),
    ("src/discovery/", &["slab"]),
];

/// Modules of one file that every layer may import, and that import std alone.
const LEAVES: &[&str] = &["address", "arena", "readiness", "recent"];

/// Crates that are sockets, descriptors, the kernel or what is said over sockets: `src/net` alone
/// may name them.
pub const SYSTEM_CRATES: &[&str] =
    &["mio", "socket2", "nix", "libc", "rustix", "rustls", "rustls_native_certs", "webpki", "ring"];

/// Who may import whom, apart from itself: (layer, what it may import, what to do instead).
pub const LAYERS: &[(&str, &[&str], &str)] = &[
    (
        "main",
        &["config", "reactor", "net", "upstream", "discovery", "observe"],
        "let config, reactor or net hand it over instead",
    ),
    (
        "reactor",
        &["relay", "upstream", "discovery", "proto", "observe", "net", "config"],
        "use the trait and the outcomes in crate::net instead",
    ),
    ("net", &["config::limits"], "return an outcome of crate::net and let the reactor act instead"),
    ("config", &[], "use plain std types and let main convert them instead"),
    (
        "discovery",
        &["upstream", "proto", "config"],
        "hand over specs and let the reactor act instead",
    ),
    ("proto", &["config"], "take what it needs as an argument instead"),
    ("relay", &["upstream::EndpointId"], "take what it needs as an argument instead"),
    ("upstream", &[], "take what it needs as an argument instead"),
    ("observe", &["config"], "take plain facts, a `Display` or a number, as an argument instead"),
];

pub fn layers(source: &Source) -> Vec<Finding> {
    if !source.is_in(&["src/"]) || source.path == "src/lib.rs" {
        return Vec::new();
    }
    let module = source.module();
    let leaf = LEAVES.iter().find(|leaf| module[0] == **leaf);
    let leaf = leaf.map(|leaf| (*leaf, &[][..], "keep to std instead"));
    let mut layers = LAYERS.iter().copied();
    let Some((own, allowed, instead)) = leaf.or_else(|| layers.find(|layer| layer.0 == module[0]))
    else {
        let message = format!("no layer `{}`: use one of LAYERS in tests/tidy instead", module[0]);
        return vec![finding(1, message)];
    };
    let mut findings = Vec::new();
    for (line, path) in crate_paths(source) {
        let target = path.join("::");
        let is_under = |of: &&str| target == **of || target.starts_with(&format!("{of}::"));
        // The reactor knows the trait and the outcomes in net/mod.rs; a small letter is a module.
        let is_module = |name: &String| name.starts_with(char::is_lowercase);
        let behind_trait =
            own == "reactor" && path[0] == "net" && path.get(1).is_some_and(is_module);
        // The trait is above its implementations and needs none of them, nor any other layer.
        let is_leaf = LEAVES.contains(&path[0].as_str());
        let from_trait = module == ["net"] && path[0] != "net" && !is_leaf;
        let is_allowed = path[0] == own || is_leaf || allowed.iter().any(is_under);
        if !is_allowed || behind_trait || from_trait {
            findings.push(finding(line, format!("{own} must not import {target}: {instead}")));
        }
    }
    findings
}

/// `relay` and `upstream` import std alone, and of std nothing that acts.
pub fn std_alone(source: &Source) -> Vec<Finding> {
    let Some((_, own)) = PURE.iter().find(|(folder, _)| source.is_in(&[folder])) else {
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
    for Import { line, path, .. } in imports(&source.production()) {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
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
            ("src/reactor/pump.rs", "use super::Reactor;\nuse crate::net::{self, Net, Read};"),
            (
                "src/reactor/pump.rs",
                "use crate::{relay::Pair, upstream, discovery, observe, config};",
            ),
            ("src/reactor/pump.rs", "use std::net::SocketAddr;\nfn a() { net::Read::Eof; }"),
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
            ("src/readiness.rs", "use std::fmt;"),
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
