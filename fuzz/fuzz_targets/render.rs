//! Hands libFuzzer's inputs to the properties of what is rendered; holds none itself.

#![no_main]

use etcd_gateway_fuzz::render;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| render::check(data));
