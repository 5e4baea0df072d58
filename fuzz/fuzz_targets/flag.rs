//! Hands libFuzzer's inputs to the properties of one flag and its value; holds none itself.

#![no_main]

use etcd_gateway_fuzz::command_line;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| command_line::check_flag(data));
