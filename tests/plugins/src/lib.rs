//! Guests that the tests run are the examples of this package.
