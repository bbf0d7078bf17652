"""The only package that communicates with InfluxDB, in its versions 1.8, 2.x and 3.x.

It sends points and queries, and decides what a response means for the points. The
journal and the choice of the points to send belong in other packages. It may import
`config`, `system` and `model`.
"""
