"""Pieces of HTML."""

import html.parser

from keras_evonas.project.html import breakable


def test_a_name_that_breaks_is_safe_and_still_the_name():
    name = "stage_0/<script>alert('x_y')</script>&amp;"
    written = breakable(name)
    assert "<script" not in written
    pieces = []
    parser = html.parser.HTMLParser()
    parser.handle_data = pieces.append
    parser.feed(written)
    parser.close()
    assert "".join(pieces) == name
    assert written.startswith("stage_<wbr>0/<wbr>")
