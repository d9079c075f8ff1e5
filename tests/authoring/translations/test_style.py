"""The style rules find the faults that native readers found, and leave right sentences alone."""

from pathlib import Path

import pytest

from authoring.translations import style
from authoring.translations.messages import SourceError

FAULTS = {
    "ja": [
        "使用率は90 %です。",
        "“リセット”を押します。",
        "お待ちください。 もう一度押します。",
        "なぜですか\N{FULLWIDTH QUESTION MARK}写真が回転したからです。",
        "# 1 · マインドセットの転換",
        "ナイーブなサービスです。",
        "リファレンスサービスを起動します。",
        "打ち手ごとに比べます。",
        "リクエスト3件を損失しました。",
        "すべてのファイルをハッシュします。",
        "暖機運転をします。",
        "写真を切り抜きで比べます。",
        "フォルダーを開きます。",
        "ハンドラを書きます。",
        "全画素をデコードします。",
        "あなたのマシンで測ります。",
        "いちばん遅い応答です。",
        "忙しいサービスは遅くなります。",
        "サービスが死んだとき。",
        "サービスが答えを返します。",
        "各モジュールをimportします。",
        "ゴールデン写真をリプレイします。",
    ],
    "id": [
        "utilisasinya 90 %.",
        "Tekan “Jalankan”.",
        "Ada 1,850 request.",
        "Berkasnya 1.04 GB.",
        "Butuhnya {seconds} s saja.",
        "Layanan siap. 500 request datang bersamaan.",
        "Tahap pra-pemrosesan gagal.",
        "Saat start-up, bobot dimuat.",
        "Layanan sering start lagi.",
        "Kesibukan layanan itu tinggi.",
        "Latensi di bawah beban naik.",
        "Layanan naif ini lambat.",
        "Cara itu tidak menolong.",
        "Dua thread bertemu di sini.",
        "Event loop menghitung foto satu per satu.",
        "Layanan listen di port 8000.",
        "Proses itu di-kill.",
        "Jangan restart kernel.",
        "Tebak dulu angkanya.",
        "Setelah itu ia tidak bisa pulih.",
        "Ingat dulu, lalu menebak.",
        "/livez selama sepuluh foto dihitung",
        "Foto dijawab satu demi satu.",
        "Tulis berkas kontainer itu.",
        "Kontainer di-build di sini.",
        "Tanpa menimbulkan error apa pun.",
        "Layanan itu berakhir sebelum siap.",
        "Lihat dasbor itu.",
        "Layanan gagal, karena bobotnya rusak.",
    ],
}
RIGHT = {
    "ja": [
        "使用率は90%です。「リセット」を押します。もう一度お待ちください。",
        "損失関数はそのままです。`import torch`を実行します。フィルターとハンドラーです。",
        "サービスが応答を返します。最も遅い応答です。手いっぱいです。",
    ],
    "id": [
        'Utilisasinya 90%, berkasnya 1,04 GB, 1.850 request, 10 detik. Tekan "Jalankan".',
        "Layanan gagal karena bobotnya rusak, karena itu prosesnya berhenti.",
        "Layanan dijalankan ulang saat cold start. Para pengguna tidak menunggu lama.",
        "Matikan paksa (kill) prosesnya, lalu ukur lagi. Python 3.11 dan 127.0.0.1 tetap.",
        "Request yang ditolak ikut dihitung, dan hash setiap berkas dihitung saat build.",
    ],
}


@pytest.mark.parametrize(
    ("code", "text"), [(code, text) for code, texts in FAULTS.items() for text in texts]
)
def test_a_planted_fault_is_found(code: str, text: str) -> None:
    assert style.violations("", text, style.load()[code])


@pytest.mark.parametrize(
    ("code", "text"), [(code, text) for code, texts in RIGHT.items() for text in texts]
)
def test_a_right_sentence_passes(code: str, text: str) -> None:
    assert style.violations("", text, style.load()[code]) == []


def test_a_rule_may_ask_for_words_of_the_english() -> None:
    rules = style.load()["id"]
    assert style.violations("A second copy of the service", "Salinan kedua", rules)
    assert style.violations("A second copy of the weights", "Salinan bobot kedua", rules) == []
    assert style.violations("A copy of the file", "Salinan berkas itu", rules) == []
    rules = style.load()["ja"]
    assert style.violations("less accurate", "モデルの精度が下がりました。", rules)
    assert style.violations("numerical precision", "数値の精度が下がりました。", rules) == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("[[ja]]\nfind = '('\nsay = 'x'", "unterminated subpattern"),
        ("[[ja]]\nfind = 'a'", "KeyError"),
        ("[[ja]]\nfind = 'a'\nsay = 'b'\nonly = 'c'", "a: unknown: only"),
        ("ja = 1", "TypeError"),
        ("[[ja]", "Expected"),
    ],
)
def test_a_broken_file_is_refused(tmp_path: Path, content: str, reason: str) -> None:
    path = tmp_path / "style.toml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(SourceError, match=reason):
        style.load(path)
