//! Hands libFuzzer's inputs to the properties of replies of DNS; holds none itself.

#![no_main]

use etcd_gateway_fuzz::dns_reply;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| dns_reply::check(data));
