//! Hands libFuzzer's inputs to the properties of durations; holds none itself.

#![no_main]

use etcd_gateway_fuzz::duration;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| duration::check(data));
