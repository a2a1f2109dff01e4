"""The page of a canary: each product before and after, in numbers and pictures."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from html import escape

from calib.campaigns.charts import histogram_chart
from calib.campaigns.page import Html, page, table
from calib.ledger.reprocessing_reports import Reprocessing
from calib.reprocessing.canary_records import CanaryDifference
from calib.reprocessing.canary_runs import Publication
from calib.reprocessing.page_parts import (
    NOTHING,
    STYLE,
    colour_bar,
    framed,
    link,
    number,
    paragraph,
    reference,
    section,
    share,
    word,
)
from calib.reprocessing.pictures import Pictures
from calib.reprocessing.product_records import (
    PERCENTILES,
    SIGMAS,
    STATES,
    FlagDifference,
    HeaderChange,
    ImageSetDifference,
    PlaneDifference,
    ProductDifference,
    Significance,
    Spread,
)

# Image sets of a product whose numbers are on the page; report.json has all.
_MOST_SETS = 8


def canary_page(
    found: CanaryDifference,
    pictures: Mapping[str, Mapping[int, Pictures]],
    reprocessing: Reprocessing,
) -> str:
    """Return the page of a canary as HTML.

    Parameters
    ----------
    found
        What differs.
    pictures
        By product and EXTVER.
    reprocessing
        What it is a canary of.
    """
    title = f"{found.dataset}: before and after"
    head = _head(found, title, reprocessing)
    back = [paragraph(link("index.html", f"back to reprocessing {reprocessing.name}"))]
    return page(title, framed(head, _body(found, pictures), back), style=STYLE)


def _head(found: CanaryDifference, title: str, reprocessing: Reprocessing) -> Iterator[str]:
    back = link("index.html", f"reprocessing {reprocessing.name}")
    yield f'<nav aria-label="report">{back}</nav>'
    yield f"<h1>{escape(title)}</h1>"
    yield paragraph(Html(f"{escape(found.instrument.upper())}: {_verdict(found)}"))


def _verdict(found: CanaryDifference) -> str:
    reason = f" ({found.reason})" if found.reason and found.has_failed else ""
    return word(found.verdict, is_bad=found.has_failed) + escape(reason)


def _body(found: CanaryDifference, pictures: Mapping[str, Mapping[int, Pictures]]) -> Iterator[str]:
    yield section("Versions", _versions(found), key="versions")
    if found.products:
        yield section("Products", _products(found), key="products")
    for place, product in enumerate(found.products):
        parts = list(_product(product, pictures.get(product.name, {})))
        if parts:
            yield section(product.name, parts, key=f"product-{place}")


def _versions(found: CanaryDifference) -> Iterator[str]:
    rows = [("before", *_version(found.old)), ("new", *_version(found.new))]
    yield table(("version", "run", "context", "published (UTC)"), rows, (), title="Versions")
    if found.old is None and found.new is not None:
        yield paragraph("No version of before is there: it was never published, or was pruned.")
    if found.changes:
        pairs = [(key, reference(old), reference(new)) for key, (old, new) in found.changes.items()]
        yield "<h3>References that change</h3>"
        yield table(("keyword", "before", "new"), pairs, (), title="References that change")


def _version(one: Publication | None) -> tuple[str, str, str]:
    if one is None:
        return ("none", "", "")
    return one.run, one.context, one.published_at[:19].replace("T", " ")


def _products(found: CanaryDifference) -> Iterator[str]:
    numbers = ("pixels changed", "beyond 3 sigma", "flags gained", "lost")
    rows = [
        (
            _name(place, product),
            word(STATES[product.state], is_bad=product.state in {"vanished", "unreadable"}),
            *_in_short(product),
        )
        for place, product in enumerate(found.products)
    ]
    yield table(("product", "state", *numbers), rows, numbers, title="Products")


def _name(place: int, product: ProductDifference) -> str:
    has_more = product.state in {"data", "header", "form", "unreadable"}
    if not has_more:
        return product.name
    return Html(f'<a href="#product-{place}">{escape(product.name)}</a>')


def _in_short(product: ProductDifference) -> tuple[str, str, str, str]:
    planes = [one.science for one in product.sets if one.science]
    if not planes:
        return (NOTHING,) * 4
    flags = [one.flags for one in product.sets if one.flags]
    known = [plane.significance.share(3) for plane in planes if plane.significance]
    return (
        share(max(plane.share for plane in planes)),
        share(max(known)) if known else NOTHING,
        f"{sum(each.gained for each in flags):,}",
        f"{sum(each.lost for each in flags):,}",
    )


def _product(product: ProductDifference, pictures: Mapping[int, Pictures]) -> Iterator[str]:
    if product.problem:
        yield paragraph(word(product.problem, is_bad=True))
    yield from (paragraph(line) for line in product.forms)
    if product.headers:
        yield _headers(product)
    for one in product.sets[:_MOST_SETS]:
        yield from _image_set(one, pictures.get(one.version), product.name)
    if len(product.sets) > _MOST_SETS:
        yield paragraph(f"{len(product.sets) - _MOST_SETS} more image sets are in report.json.")
    if product.tables:
        rows = [
            (each.extension, f"{each.values:,}", f"{each.total:,}", number(each.largest))
            for each in product.tables
        ]
        columns = ("extension", "values that differ", "of", "largest difference")
        yield table(columns, rows, columns[1:], title=f"Tables of {product.name}")


def _headers(product: ProductDifference) -> str:
    rows = [
        (card.extension, card.keyword, _card(card, 0), _card(card, 1)) for card in _cards(product)
    ]
    columns = ("extension", "keyword", "before", "new")
    shown = table(columns, rows, (), title=f"Header of {product.name}")
    amount = len(product.headers) + product.more_headers
    named = ", ".join(dict.fromkeys(c.keyword for c in product.headers if c.is_reference))
    said = f"{amount:,} cards of the header differ" + (f", references: {named}" if named else "")
    more = f"<p>{product.more_headers:,} more</p>" if product.more_headers else ""
    return f"<details><summary>{escape(said)}</summary>{shown}{more}</details>"


def _cards(product: ProductDifference) -> list[HeaderChange]:
    return [card for card in product.headers if not (card.old is None and card.new is None)]


def _card(card: HeaderChange, place: int) -> str:
    """Return the value of a card with its comment; the keyword stands beside it."""
    text = (card.old, card.new)[place]
    return "absent" if text is None else text[8:].removeprefix("=").strip() or "empty"


def _image_set(one: ImageSetDifference, drawn: Pictures | None, name: str) -> Iterator[str]:
    yield f"<h3>Image set {one.version}</h3>"
    if one.form:
        yield paragraph(one.form)
        return
    if drawn:
        yield _pictures(drawn, one, name)
    yield from _planes(one)
    if one.flags:
        yield from _flags(one.flags)
    science = one.science
    if science and science.histogram:
        bars = science.histogram
        said = (
            f"{science.name}: how often differences occur where it changed"
            f" ({one.unit or 'no unit'}, logarithmic)"
        )
        chart = histogram_chart(bars.counts, bars.high, said, ends=(bars.below, bars.above))
        yield chart.replace("<figure>", '<figure class="chart">', 1)


def _planes(one: ImageSetDifference) -> Iterator[str]:
    numbers = ("changed", "share", "NaN now", "NaN before", "mean", "median", "std", "MAD")
    rows = [
        (
            f"{plane.name} {words}",
            f"{plane.changed:,}",
            share(plane.share),
            f"{plane.became_nan:,}",
            f"{plane.was_nan:,}",
            *_moments(spread),
        )
        for plane in one.planes
        for words, spread in _spreads(plane)
    ]
    columns = ("new minus old", *numbers)
    unit = f" ({one.unit})" if one.unit else ""
    yield table(columns, rows, numbers, title=f"Differences{unit}")
    yield from _distribution(one)
    if one.science and one.science.significance:
        yield paragraph(_significance(one.science.significance))


def _significance(found: Significance) -> str:
    beyond = ", ".join(
        f"{share(found.share(sigma))} beyond {sigma} sigma ({found.beyond[str(sigma)]:,} pixels)"
        for sigma in SIGMAS
    )
    middle, most = number(found.median), number(found.largest)
    return f"In units of the error before: median {middle}, largest {most}; {beyond}."


def _spreads(plane: PlaneDifference) -> Iterator[tuple[str, Spread | None]]:
    yield "everywhere", plane.everywhere
    if plane.changed and plane.where_changed:
        yield "where it changed", plane.where_changed


def _moments(spread: Spread | None) -> tuple[str, ...]:
    if spread is None:
        return (NOTHING,) * 4
    return tuple(number(x) for x in (spread.mean, spread.median, spread.std, spread.mad))


def _distribution(one: ImageSetDifference) -> Iterator[str]:
    numbers = ("smallest", *(f"{place} %" for place in PERCENTILES), "largest")
    rows = [
        (
            f"{plane.name} where it changed",
            number(spread.minimum),
            *(number(spread.percentiles[str(place)]) for place in PERCENTILES),
            number(spread.maximum),
        )
        for plane in one.planes
        if (spread := plane.where_changed)
    ]
    if rows:
        yield table(("percentiles", *numbers), rows, numbers, title="Percentiles of differences")


def _flags(flags: FlagDifference) -> Iterator[str]:
    if not flags.bits:
        yield paragraph(f"{flags.name}: no flag differs.")
        return
    rows = [(each.name, str(each.bit), f"{each.gained:,}", f"{each.lost:,}") for each in flags.bits]
    columns = ("flag", "bit", "pixels gained", "pixels lost")
    yield paragraph(f"{flags.name}: flags of {flags.changed:,} of {flags.total:,} pixels differ.")
    yield table(columns, rows, columns[1:], title=f"Flags of {flags.name}")


def _pictures(drawn: Pictures, one: ImageSetDifference, name: str) -> str:
    of = f"{name}, SCI,{one.version}"
    block = f", {drawn.block} x {drawn.block} pixels in one" if drawn.block > 1 else ""
    means = f" (means of {drawn.block} by {drawn.block})" if drawn.block > 1 else ""
    kind = means if drawn.is_mean else " (few pixels changed: they are drawn larger)"
    stretch = f"black {drawn.low:.4g}, white {drawn.high:.4g}{block}"
    parts = (
        _picture(drawn, drawn.old, f"{of} before", f"Before: {stretch}"),
        _picture(drawn, drawn.new, f"{of} now", f"New: {stretch}, as before"),
        _picture(
            drawn,
            drawn.difference,
            f"{of}: new minus old",
            f"New minus old{kind}; grey: not known",
            colour_bar(drawn.limit, one.unit),
        ),
    )
    return f'<div class="three">{"".join(parts)}</div>'


def _picture(drawn: Pictures, content: bytes, alt: str, said: str, more: str = "") -> str:
    data = base64.b64encode(content).decode()
    size = f'width="{drawn.width}" height="{drawn.height}"'
    picture = f'<img alt="{escape(alt)}" {size} src="data:image/png;base64,{data}">'
    return f"<figure>{picture}{more}<figcaption>{escape(said)}</figcaption></figure>"
