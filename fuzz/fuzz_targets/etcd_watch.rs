//! Hands libFuzzer's inputs to the properties of streams of a watch; holds none itself.

#![no_main]

use etcd_gateway_fuzz::etcd_watch;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| etcd_watch::check(data));
