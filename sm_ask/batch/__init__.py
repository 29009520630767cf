"""Many questions, each asked once and its answer kept.

``Form.row`` makes a row of a record, ``outcomes`` asks rows over a connection and yields what became of them; both
know no file. ``Source`` reads a file's records, ``Journal`` and ``Kept`` are the output and what is in it.
"""
