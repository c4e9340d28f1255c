//! What the realtime feed has in common with the API. `tests/realtime` holds it to `socket.io-client`.

use std::collections::BTreeSet;

use daemon::realtime::refusal;
use functions::http::Code;

#[test]
fn the_feed_refuses_in_the_codes_of_the_api() {
    let of_api: BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
    for code in refusal::Code::ALL {
        assert!(of_api.contains(code.as_str()), "{}", code.as_str());
    }
}
