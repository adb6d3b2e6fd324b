# SPDX-License-Identifier: Apache-2.0
"""Pictures of the built documentation, as on a screen and on a telephone; names pages that are too wide.

    python tools/pictures.py doc/build/html build/pictures [PAGE ...]

Needs Chromium. The last line counts the pages that fit and those that do not.
"""

import glob
import os
import re
import subprocess
import sys
import typing

#: Of a window, in pixels; and how many pages are beside one another in a picture.
BESIDE = {1280: 1, 390: 4}
#: Chromium lays a page out for a window of this width at least; each page is in a frame of its own width.
LEAST = 500
HEIGHT = 3000
CHROMIUM = ('chromium', '--headless=new', '--no-sandbox', '--disable-gpu', '--hide-scrollbars')
#: Reports how wide a page and its window are. A page from a file may not read another one.
PROBE = ("<script>addEventListener('load', () => { const e = document.documentElement; top.postMessage("
         "name + ' wide ' + e.scrollWidth + ' of ' + e.clientWidth, '*'); });</script></head>")
FRAME = '<iframe name="%s" src="%s" style="border: 0; width: %dpx; height: %dpx"></iframe>'
#: Shows pages side by side, and lists what they report.
SHEET = ('<!DOCTYPE html><title></title><body style="margin: 0; white-space: nowrap"><script>'
         "addEventListener('message', event => { document.title += event.data + ';'; });</script>%s")


def chromium(*arguments: str) -> str:
    """Run Chromium; return what it prints."""
    done = subprocess.run(CHROMIUM + arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, universal_newlines=True, timeout=1800)
    return done.stdout


def write(path: str, text: str) -> str:
    """Write a file; return its URL."""
    with open(path, 'w', encoding='utf-8') as stream:
        stream.write(text)
    return 'file://' + path


def sheet(pages: typing.Iterable[str], width: int) -> str:
    """Return HTML that shows pages side by side."""
    return SHEET % ''.join(
        FRAME % (page, os.path.join(os.path.dirname(page), '.probe-' + os.path.basename(page)), width, HEIGHT)
        for page in pages)


def pictures_of(html: str, pages: typing.Sequence[str], folder: str) -> typing.Iterator[
        typing.Tuple[str, int, int, int]]:
    """Make the pictures; yield each page with the width of its frame, and how wide page and frame are."""
    file = os.path.join(html, '.sheet.html')
    for width, beside in BESIDE.items():
        printed = chromium('--window-size=%d,%d' % (LEAST, HEIGHT), '--virtual-time-budget=20000',
                           '--dump-dom', write(file, sheet(pages, width)))
        title = re.search('<title>(.*?)</title>', printed, re.DOTALL)
        found = re.findall(r'([^;]+) wide (\d+) of (\d+);', title.group(1) if title else '')
        missing = set(pages) - {page for page, _needs, _has in found}
        if missing:
            raise RuntimeError('Chromium shows nothing of %s' % ', '.join(sorted(missing)))
        for page, needs, has in found:
            yield page, width, int(needs), int(has)
        for number in range(0, len(pages), beside):
            some = pages[number:number + beside]
            name = '+'.join(page[:-len('.html')].replace(os.sep, '_') for page in some)
            picture = os.path.join(folder, '%d-%s.png' % (width, name))
            chromium('--window-size=%d,%d' % (width * len(some), HEIGHT), '--screenshot=' + picture,
                     write(file, sheet(some, width)))
    os.remove(file)


def main(html: str, pictures: str, *names: str) -> int:
    """Make the pictures; return the exit code."""
    html, folder = os.path.abspath(html), os.path.abspath(pictures)
    os.makedirs(folder, exist_ok=True)
    pages = [name + '.html' for name in names] or sorted(
        os.path.relpath(page, html) for page in glob.glob(os.path.join(html, '**', '*.html'), recursive=True))
    probes = []
    fit = wide = 0
    try:
        for page in pages:
            with open(os.path.join(html, page), encoding='utf-8') as stream:
                text = stream.read().replace('</head>', PROBE, 1)
            probes.append(os.path.join(html, os.path.dirname(page), '.probe-' + os.path.basename(page)))
            write(probes[-1], text)
        for page, width, needs, has in pictures_of(html, pages, folder):
            fit, wide = fit + (needs <= has), wide + (needs > has)
            if needs > has:
                print('%s at %d: %d wide, in a window of %d' % (page, width, needs, has), flush=True)
    finally:
        for probe in probes:
            os.remove(probe)
    print('%d passed, %d failed' % (fit, wide))
    return 1 if wide else 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
