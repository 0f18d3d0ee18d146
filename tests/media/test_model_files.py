"""Fetching from a server of this machine, by http; only redirects must lead to https."""

import dataclasses
import hashlib
import http.server
import threading
import urllib.request

import numpy as np
import pytest

from cpad_jax.errors import UserError
from cpad_jax.media import model_files

CONTENT = np.random.default_rng(0).bytes(300_000)


class Server(http.server.ThreadingHTTPServer):
    """Serves `content`; what it does wrong is set by the tests."""

    content = CONTENT
    ranges = True  # Whether it knows Range.
    cut = None  # Bytes after which it hangs up.
    says_length = True
    leads_to = None
    wrong_range = False

    def __init__(self):
        super().__init__(('127.0.0.1', 0), _Answer)
        self.asked = []


class _Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):  # noqa: N802
        server = self.server
        asked = self.headers.get('Range')
        server.asked.append((self.path, asked))
        if server.leads_to and self.path == '/model.onnx':
            self.send_response(302)
            self.send_header('Location', server.leads_to)
            self.end_headers()
            return
        start = int(asked.removeprefix('bytes=').removesuffix('-')) if asked else 0
        part = asked and server.ranges
        if part and start >= len(server.content):
            self.send_error(416)
            return
        data = server.content[start if part else 0 :]
        self.send_response(206 if part else 200)
        if part:
            start += 7 if server.wrong_range else 0
            end = len(server.content)
            self.send_header('Content-Range', f'bytes {start}-{end - 1}/{end}')
        if server.says_length:
            self.send_header('Content-Length', str(len(data)))
        self.end_headers()
        self.wfile.write(data[: server.cut])

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv('CPAD_CACHE', str(tmp_path / 'cache'))
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def model(server):
    return model_files.ModelFile(
        what='face thing', name='model.onnx', size=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(), licence='MIT', variable='CPAD_FACE_THING',
        address=f'http://127.0.0.1:{server.server_port}/model.onnx',
    )  # fmt: skip


def held():
    """Names and sizes of what lies in the cache."""
    folder = model_files.cache_folder()
    return {p.name: p.stat().st_size for p in folder.iterdir()} if folder.is_dir() else {}


def partial_name(model):
    return f'model.onnx.{model.sha256[:12]}.partial'


def refused(model, says):
    with pytest.raises(UserError, match=says) as raised:
        model_files.fetch(model)
    message = str(raised.value)
    assert '\n' not in message and model.address in message
    assert 'model.onnx' not in held(), 'a file that was refused lies where a whole one is expected'
    return message


def test_a_file_is_fetched_whole_and_once(server, model):
    path = model_files.fetch(model)
    assert path.read_bytes() == CONTENT
    assert path == model_files.find(model) and held() == {'model.onnx': len(CONTENT)}
    assert model_files.fetch(model) == path
    assert server.asked == [('/model.onnx', None)]


def test_a_download_goes_on_where_it_broke_off(server, model):
    server.cut = 100_000
    refused(model, 'broke off at 100000 of 300000 bytes; run the same command again')
    assert held() == {partial_name(model): 100_000}
    with pytest.raises(UserError, match='no face thing is given'):
        model_files.find(model)
    refused(model, 'broke off at 200000 of')
    server.cut = None
    assert model_files.fetch(model).read_bytes() == CONTENT
    assert [asked for _, asked in server.asked] == [None, 'bytes=100000-', 'bytes=200000-']
    assert held() == {'model.onnx': len(CONTENT)}


@pytest.mark.parametrize('mistake', ['ranges', 'wrong_range'])
def test_a_server_that_does_not_go_on_is_read_from_the_start(server, model, mistake):
    server.cut = 100_000
    refused(model, 'broke off')
    server.cut = None
    if mistake == 'wrong_range':
        # It says that it sends other bytes than those asked for: they are not put behind.
        server.wrong_range = True
        refused(model, 'the file there has 200000 bytes, expected 300000')
        server.wrong_range = False
    server.ranges = False
    assert model_files.fetch(model).read_bytes() == CONTENT
    assert held() == {'model.onnx': len(CONTENT)}


def test_a_file_of_another_content_is_deleted(server, model):
    server.content = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
    message = refused(model, 'what came is not model.onnx')
    assert hashlib.sha256(server.content).hexdigest() in message and model.sha256 in message
    assert held() == {}
    server.content = CONTENT
    assert model_files.fetch(model).read_bytes() == CONTENT


def test_a_beginning_that_was_damaged_is_not_kept(server, model):
    server.cut = 100_000
    refused(model, 'broke off')
    path = model_files.cache_folder() / partial_name(model)
    path.write_bytes(bytes(100_000))
    server.cut = None
    refused(model, 'what came is not model.onnx')
    assert model_files.fetch(model).read_bytes() == CONTENT


@pytest.mark.parametrize('other', [CONTENT[:-1], CONTENT + b'x', b''], ids=['less', 'more', 'none'])
def test_a_file_of_another_size_is_refused_before_it_is_read(server, model, other):
    server.content = other
    refused(model, f'the file there has {len(other)} bytes, expected 300000')
    assert held() == {}


def test_a_file_without_end_is_read_no_further_than_expected(server, model):
    server.content, server.says_length = CONTENT * 100, False
    refused(model, 'what came is not model.onnx')
    assert held() == {}
    # What the server says is not trusted, so it is what was written that must be bounded.
    written = []
    original = model_files._download

    def watched(model, partial, start):
        original(model, partial, start)
        written.append(partial.stat().st_size)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model_files, '_download', watched)
        refused(model, 'what came is not model.onnx')
    assert written == [len(CONTENT) + 1]


def test_a_file_that_became_shorter_than_what_is_held(server, model):
    server.cut = 100_000
    refused(model, 'broke off')
    server.content, server.cut = CONTENT[:50_000], None
    refused(model, 'the file there has 50000 bytes, expected 300000')


@pytest.mark.parametrize('there', ['http://127.0.0.1:{port}/other', 'ftp://127.0.0.1/a', 'HTTP:x'])
def test_redirects_lead_to_https_only(server, model, there):
    server.leads_to = there.format(port=server.server_port)
    refused(model, 'is not https')
    assert [path for path, _ in server.asked] == ['/model.onnx']
    assert held() == {}


def test_redirects_to_https_are_followed(server, model, monkeypatch):
    server.leads_to = 'https://127.0.0.1/other'
    followed = []

    def open_https(self, request):
        followed.append(request.full_url)
        raise OSError('stop here')

    monkeypatch.setattr(urllib.request.HTTPSHandler, 'https_open', open_https)
    refused(model, 'stop here')
    assert followed == ['https://127.0.0.1/other']


def test_what_a_server_refuses_and_no_server_are_told(server, model):
    away = dataclasses.replace(model, address='http://127.0.0.1:1/model.onnx')
    refused(away, 'failed .*refused.* or copy the file to .*cache/model.onnx by hand')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_Answer, 'do_GET', lambda self: self.send_error(404))
        refused(model, r'failed \(Not Found\)')


def test_a_folder_that_cannot_be_written_to(server, model, tmp_path, monkeypatch):
    (tmp_path / 'file').write_text('')
    monkeypatch.setenv('CPAD_CACHE', str(tmp_path / 'file' / 'cache'))
    refused(model, 'Not a directory')


def test_a_whole_file_of_another_content_is_replaced(server, model):
    path = model_files.cache_folder() / 'model.onnx'
    path.parent.mkdir(parents=True)
    path.write_bytes(b'cut')
    with pytest.raises(UserError, match='this is another file, or a part of one'):
        model_files.find(model)
    assert model_files.fetch(model).read_bytes() == CONTENT


def test_a_path_goes_before_the_variable_and_this_before_the_cache(model, tmp_path, monkeypatch):
    cached = model_files.fetch(model)
    assert model_files.find(model) == cached
    own, named = tmp_path / 'own.onnx', tmp_path / 'named.onnx'
    own.touch(), named.touch()
    monkeypatch.setenv('CPAD_FACE_THING', str(named))
    assert model_files.find(model) == named
    assert model_files.find(model, own) == own
    named.unlink()
    with pytest.raises(UserError, match=r'named\.onnx: there is no such face thing'):
        model_files.find(model)


def test_known_files_are_fetched_by_https():
    for known in (model_files.FACE_DETECTOR, model_files.FACE_EMBEDDER):
        assert known.address.startswith('https://') and known.address.endswith(known.name)
        assert len(known.sha256) == 64 and 0 < known.size < 100 << 20
