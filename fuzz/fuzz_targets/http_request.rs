//! Hands libFuzzer's inputs to the properties of HTTP requests; holds none itself.

#![no_main]

use etcd_gateway_fuzz::http_request;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| http_request::check(data));
