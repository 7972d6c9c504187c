//! The examples of this package are guests of the tests.
