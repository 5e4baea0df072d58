//! Hands libFuzzer's inputs to the properties of answers of etcd; holds none itself.

#![no_main]

use etcd_gateway_fuzz::etcd_answer;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| etcd_answer::check(data));
