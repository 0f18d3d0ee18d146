"""Reads a page back."""

import html.parser

VOID = {'meta', 'link', 'img', 'br', 'wbr'}


class Reader(html.parser.HTMLParser):
    """What is on a page: tags with their attributes, tables as text, and whether tags nest."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.open, self.tables, self.words = [], [], [], ''
        self.spanning = False
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == 'table':
            self.tables.append([])
        if tag == 'tr':
            self.tables[-1].append([])
        self.spanning = tag != 'tr' and self.spanning or 'colspan' in dict(attributes)
        if tag in ('th', 'td'):
            self.tables[-1][-1].append('')

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag == 'tr' and self.spanning:
            self.tables[-1].pop()  # Headings above the headers.

    def handle_data(self, data):
        self.words += data
        if self.open and {'th', 'td'} & set(self.open):
            self.tables[-1][-1][-1] += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    def sections(self):
        return [section['id'] for section in self.all('section')]
