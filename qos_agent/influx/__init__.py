"""The only package that communicates with InfluxDB, in its versions 1.8, 2.x and 3.x.

`transport` sends one write request and `responses` decides what a response means for
its points. `writer` writes whole lists of lines for the operations centre. `query`
sends InfluxQL. `dialects` and `buckets` contain the differences between versions, and
`fixes` the advice for a server's error messages. It may import `config`, `system` and
`model`.
"""
