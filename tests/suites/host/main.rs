//! The contract, the host and the SDK.

mod allocations;
mod contract;
mod copies;
mod corpus;
mod docs;
mod grants;
mod http;
mod http_attacks;
mod http_login;
mod http_observer;
mod http_servers;
mod lifecycle;
mod limits;
mod locks;
mod modules;
mod native_constants;
mod packages;
mod paths;
mod pooling;
mod restarts;
mod sdk;
