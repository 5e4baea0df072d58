//! What is known of a run from outside: counters. Counts; decides nothing.

pub mod metrics;
