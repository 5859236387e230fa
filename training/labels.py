"""Label photos for the subject finder with the teachers: photos in tars -> a tar of pairs.

    python training/labels.py --tars PHOTOS.tar ... --names NAMES.txt --teachers FOLDER \
        --cache CACHE --out PAIRS.tar

Names are those of the photos in the tars, one a line. ``FOLDER`` holds ``isnet.onnx`` (IS-Net for
general use, Qin et al. 2022, of 768 pixels; mean 128, scale 256), ``deeplab.tflite`` (DeepLab v3
with MobileNetV2, of PASCAL VOC's classes) and ``yunet.onnx`` (faces). None of them ships. Needs
``onnxruntime``, ``ai-edge-litert`` and ``opencv-python``; two to four seconds a photo on one core.

IS-Net says what the subject is. What it is unsure of is void, and so is what DeepLab sees as a
person, an animal or a vehicle and IS-Net misses; faces are subject. Left out are photos in which
IS-Net finds nothing, all, or mush.

IS-Net misses fronts of houses and beds of flowers. ``--drawn`` names a file of those that somebody
drew (``drawn.txt``): on each line the name of a photo and the corners of polygons in percent of its
width and height, ``NAME x,y x,y x,y ; x,y x,y x,y | x,y x,y x,y``, of the subject and, behind the
bar, of what is void. GrabCut (Rother et al. 2004) then finds the edges near those of the polygons.
"""

from __future__ import annotations

import argparse
import functools
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Bytes = NDArray[np.uint8]

FACES = 768  # pixels, the long side of the photo that the face detector sees
ALIVE = (1, 2, 3, 4, 6, 7, 8, 10, 12, 13, 14, 15, 17, 19)  # people, animals, vehicles, of VOC
SHORT = 192  # pixels, the short side of a pair
FAINT = (15, 64)  # grey levels, from and to, that IS-Net is unsure of although they look like none
MARKED = (0.015, 0.8)  # share of a photo that may be subject
NEAR = 0.03  # of the short side: as far from a drawn edge the true one may lie
MUSH = (0.02, 0.5)  # unsure pixels, at most: a share of the photo, and one of the subject's pixels


class Teachers:
    """The three networks."""

    def __init__(self, folder: Path, threads: int) -> None:
        import onnxruntime
        from ai_edge_litert.interpreter import Interpreter

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.isnet = onnxruntime.InferenceSession(str(folder / "isnet.onnx"), options)
        self.deeplab = Interpreter(str(folder / "deeplab.tflite"), num_threads=threads)
        self.deeplab.allocate_tensors()
        self.yunet = cv2.FaceDetectorYN.create(str(folder / "yunet.onnx"), "", (FACES, FACES), 0.8)

    def subject(self, photo: Image.Image) -> Bytes:
        """IS-Net's mask at the photo's size, ``(H, W)``, 255 is the subject."""
        given = self.isnet.get_inputs()[0]
        seen = photo.resize(given.shape[:1:-1], Image.Resampling.BILINEAR)
        pixels = (np.asarray(seen, np.float32).transpose(2, 0, 1)[None] - 128) / 256
        found = self.isnet.run(["output"], {given.name: pixels})[0][0, 0]
        mask = Image.fromarray((255 * found).round().astype(np.uint8))
        return np.asarray(mask.resize(photo.size, Image.Resampling.BOX))

    def classes(self, photo: Image.Image) -> Bytes:
        """DeepLab's class at each pixel of the photo, ``(H, W)``."""
        given, got = self.deeplab.get_input_details()[0], self.deeplab.get_output_details()[0]
        side = int(given["shape"][1])
        scale = side / max(photo.size)
        width, height = round(photo.width * scale), round(photo.height * scale)
        canvas = np.full((1, side, side, 3), 128, np.uint8)
        canvas[0, :height, :width] = photo.resize((width, height), Image.Resampling.BILINEAR)
        self.deeplab.set_tensor(given["index"], canvas)
        self.deeplab.invoke()
        found = self.deeplab.get_tensor(got["index"])[0, :height, :width].astype(np.uint8)
        return np.asarray(Image.fromarray(found).resize(photo.size, Image.Resampling.NEAREST))

    def faces(self, photo: Image.Image) -> list[tuple[int, int, int, int]]:
        """The (left, top, width, height) of each face, in the photo's pixels."""
        scale = FACES / max(photo.size)
        seen = photo.resize((round(photo.width * scale), round(photo.height * scale)))
        self.yunet.setInputSize(seen.size)
        _, found = self.yunet.detect(np.asarray(seen)[:, :, ::-1].copy())
        return [] if found is None else [tuple(map(int, face[:4] / scale)) for face in found]


def label(
    subject: Bytes, classes: Bytes, faces: list[tuple[int, int, int, int]]
) -> NDArray[np.uint8] | None:
    """What the teachers make of a photo together, ``(H, W)`` in 16 grey levels; None where they
    make nothing of it."""
    mask = subject.copy()
    unsure = (mask >= FAINT[0]) & (mask < FAINT[1])
    mask[unsure] = 128
    alive = cv2.medianBlur(np.isin(classes, ALIVE).astype(np.uint8), 5) > 0
    mask[alive & (mask < 128)] = 128
    for left, top, width, height in faces:
        middle = (left + width // 2, top + height // 2)
        cv2.ellipse(mask, middle, (round(0.42 * width), round(0.46 * height)), 0, 0, 360, 255, -1)
    marked = float((mask > 191).mean())
    mush = float(((subject >= FAINT[0]) & (subject <= 191)).mean())
    if not MARKED[0] <= marked <= MARKED[1] or mush > MUSH[0] + MUSH[1] * marked:
        return None
    return ((mask.astype(np.uint16) + 8) // 17 * 17).clip(0, 255).astype(np.uint8)


def taught(teachers: Teachers, cache: Path, name: str, photo: Image.Image) -> Bytes | None:
    """``label`` of a photo; what the two slow teachers say of it is kept in ``cache``."""
    cache.mkdir(parents=True, exist_ok=True)
    held = cache / (name.replace("/", "-").removesuffix(".jpg") + ".npz")
    if not held.exists():
        np.savez_compressed(held, p=teachers.subject(photo), c=teachers.classes(photo))
    with np.load(held) as said:
        return label(said["p"], said["c"], teachers.faces(photo))


def outline(photo: Image.Image, drawing: str) -> Bytes:
    """The mask of polygons that somebody drew, ``(H, W)``; its edges are those of the photo."""
    subject, void = (_filled(photo.size, part) for part in f"{drawing}|".split("|")[:2])
    reach = max(3, round(NEAR * min(photo.size)))
    around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    trimap = np.where(subject, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    trimap[cv2.dilate(subject, around) == 0] = cv2.GC_BGD
    trimap[cv2.erode(subject, around) > 0] = (
        cv2.GC_FGD
    )  # what lies outside the photo erodes nothing
    if trimap.min() == cv2.GC_BGD:
        pixels = np.asarray(photo)[:, :, ::-1].copy()
        models = np.zeros((1, 65)), np.zeros((1, 65))
        cv2.grabCut(pixels, trimap, None, *models, 3, cv2.GC_INIT_WITH_MASK)
    found = np.isin(trimap, (cv2.GC_FGD, cv2.GC_PR_FGD))
    mask = cv2.GaussianBlur(255 * found.astype(np.uint8), (0, 0), 1.0)
    mask[void > 0] = 128
    return mask


def _filled(size: tuple[int, int], polygons: str) -> Bytes:
    """1 within the polygons, 0 elsewhere."""
    mask = Image.new("L", size)
    for polygon in filter(str.strip, polygons.split(";")):
        corners = [corner.split(",") for corner in polygon.split()]
        scaled = [(float(x) * size[0] / 100, float(y) * size[1] / 100) for x, y in corners]
        ImageDraw.Draw(mask).polygon(scaled, fill=1)
    return np.asarray(mask)


def photos_of(tars: list[Path], names: set[str]) -> dict[str, Image.Image]:
    """The photos with these names, as they are in the tars."""
    found = {}
    for tar in tars:
        with tarfile.open(tar) as archive:
            for member in archive:
                file = archive.extractfile(member) if member.name in names else None
                if file is not None:
                    found[member.name] = Image.open(io.BytesIO(file.read())).convert("RGB")
    return found


def add(archive: tarfile.TarFile, name: str, picture: Image.Image, **options: int) -> None:
    """Put ``picture`` into ``archive``, in the format that its name asks for."""
    held = io.BytesIO()
    picture.save(held, "JPEG" if name.endswith(".jpg") else "PNG", **options)
    member = tarfile.TarInfo(name)
    member.size = held.tell()
    held.seek(0)
    archive.addfile(member, held)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tars", type=Path, nargs="+", required=True, help="tars of photos")
    parser.add_argument("--names", type=Path, help="photos to label, one a line")
    parser.add_argument("--teachers", type=Path, help="folder of the networks")
    parser.add_argument("--cache", type=Path, help="folder for what they say")
    parser.add_argument("--drawn", type=Path, help="polygons instead of names and teachers")
    parser.add_argument("--out", type=Path, required=True, help="tar of pairs to write")
    parser.add_argument("--source", default="more", help="name of the pairs' source")
    parser.add_argument("--threads", type=int, default=1)
    a = parser.parse_args()
    labelled: Callable[[str, Image.Image], Bytes | None]
    if a.drawn:
        drawings = dict(line.split(" ", 1) for line in a.drawn.read_text().splitlines())
        names = list(drawings)
        labelled = lambda name, photo: outline(photo, drawings[name])  # noqa: E731
    else:
        names = a.names.read_text().split()
        labelled = functools.partial(taught, Teachers(a.teachers, a.threads), a.cache)
    kept = 0
    with tarfile.open(a.out, "w") as archive:
        for name, photo in photos_of(a.tars, set(names)).items():
            mask = labelled(name, photo)
            if mask is None:
                continue
            scale = min(1.0, SHORT / min(photo.size))
            size = (round(photo.width * scale), round(photo.height * scale))
            stem = f"{a.source}/{{}}/{kept:04d}"
            image = photo.resize(size, Image.Resampling.LANCZOS)
            add(archive, stem.format("img") + ".jpg", image, quality=88)
            small = Image.fromarray(mask).resize(size, Image.Resampling.BOX)
            add(archive, stem.format("mask") + ".png", small)
            kept += 1
    print(f"{kept} pairs of {len(names)} photos")


if __name__ == "__main__":
    main()
