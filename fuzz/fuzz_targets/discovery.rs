//! Hands libFuzzer's inputs to the properties of name resolution; holds none itself.

#![no_main]

use etcd_gateway_fuzz::discovery;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| discovery::check(data));
