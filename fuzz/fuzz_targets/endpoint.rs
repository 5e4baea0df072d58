//! Hands libFuzzer's inputs to the properties of endpoint addresses; holds none itself.

#![no_main]

use etcd_gateway_fuzz::address;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| address::check_endpoint(data));
