//! Hands libFuzzer's inputs to the properties of HTTP answers; holds none itself.

#![no_main]

use etcd_gateway_fuzz::http_answer;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| http_answer::check(data));
