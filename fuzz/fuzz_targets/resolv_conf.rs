//! Hands libFuzzer's inputs to the properties of the configuration of DNS; holds none itself.

#![no_main]

use etcd_gateway_fuzz::resolv_conf;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| resolv_conf::check(data));
