"""A vendor of our own: the API and its download host as a real HTTP server.

``world`` is the vendor in memory, without a clock and without HTTP; ``server`` is its door, an API
and a download host on two ports.  Nothing here is shared with the client but the nouns of
``core.model``: a parser used by both would hide its own bugs.
"""
