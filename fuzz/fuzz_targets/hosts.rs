//! Hands libFuzzer's inputs to the properties of the table of hosts; holds none itself.

#![no_main]

use etcd_gateway_fuzz::hosts;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| hosts::check(data));
