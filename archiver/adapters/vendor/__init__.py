"""The vendor's REST API: what is on the wire, the token, the pace, the calls."""
