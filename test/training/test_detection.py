# Copyright 2026 dynamic_dnn_ros contributors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from dynamic_dnn_ros.bundles.reader import read_bundle
from dynamic_dnn_ros.networks.registry import create
from dynamic_dnn_ros.pictures.input import Preprocessing, Resize
from dynamic_dnn_ros.pictures.placement import Placement, Size
from dynamic_dnn_ros.tasks.contract import Limits
from dynamic_dnn_ros.training.averaging import AveragedWeights
from dynamic_dnn_ros.training.batches import Normalisation
from dynamic_dnn_ros.training.configuration import (
    TrainingConfiguration,
    TrainingConfigurationError,
)
from dynamic_dnn_ros.training.evaluation import accuracy, recalibrate
from dynamic_dnn_ros.training.recipe import train_bundle
from dynamic_dnn_ros.training.space import SuperNetworkSpace
from dynamic_dnn_ros.training.tasks.assignment import assign, pairwise_overlaps
from dynamic_dnn_ros.training.tasks.box_augmentation import BoxAugmentation, BoxBatch, altered
from dynamic_dnn_ros.training.tasks.detection import DetectionTraining, served_task
from dynamic_dnn_ros.training.tasks.detection_losses import (
    DetectionLesson,
    distribution_focal_loss,
)
from dynamic_dnn_ros.training.tasks.points import Points
from dynamic_dnn_ros.training.trainer import Trainer
from support.detection import LABELS, detection_mapping, write_boxes

SIZE = Size(64, 96)
CPU = torch.device('cpu')
STEPS = 8


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _configuration(folder, **changes):
    return TrainingConfiguration.from_mapping(detection_mapping(folder, **changes))


def _perfect(points, boxes, classes):
    """Return the answers that say given boxes at all points, as exactly as distributions can."""
    logits = torch.full((1, len(points.strides), len(LABELS)), -9.0)
    distances = points.distances(boxes.expand(1, len(points.strides), 4))
    able = ((distances > 0) & (distances < STEPS - 1)).all(-1)
    logits[0, able[0], classes] = 9.0
    values = torch.arange(STEPS)
    near = (1 - (distances[..., None] - values).abs()).clamp(min=1e-6)
    return torch.cat([logits, near.log().flatten(2)], -1)


def test_answers_are_decoded_as_they_are_trained():
    points = Points.of(SIZE, CPU)
    box = torch.tensor([[20.0, 12.0, 44.0, 36.0]])
    answers = _perfect(points, box, 1)
    lesson = DetectionLesson(torch.zeros(1), points, box[None], torch.tensor([[1]]), len(LABELS))
    assert float(lesson.loss(answers)) < 0.35
    assert float(lesson.loss(answers.flip(1))) > 1.0
    scores = answers[..., : len(LABELS)].sigmoid()
    outputs = {'output': torch.cat([scores, answers[..., len(LABELS) :]], -1).numpy()}
    preprocessing = Preprocessing(Resize.STRETCH, (0.0,) * 3, (1.0,) * 3)
    placement = Placement.of(SIZE, SIZE, preprocessing)
    found = served_task('output').decode(outputs, 0, placement, LABELS, Limits())
    assert list(found.classes) == [1]
    assert np.abs(found.boxes[0] - box[0].numpy()).max() < 0.1


def test_the_best_points_inside_an_object_learn_it():
    points = Points.of(SIZE, CPU)
    boxes = torch.tensor(
        [[[20.0, 10.0, 60.0, 44.0], [70.0, 20.0, 73.0, 23.0], [0.0, 0.0, 0.0, 0.0]]]
    )
    classes = torch.tensor([[2, 0, -1]])
    said = points.boxes(torch.zeros(1, len(points.strides), 4 * STEPS))
    found = assign(torch.full((1, len(points.strides), 3), 0.1), said, points, boxes, classes)
    chosen = found.weights[0] > 0
    assert chosen.any()
    # What is smaller than the distance of two points is found by one all the same.
    assert {tuple(box.tolist()) for box in found.boxes[0][chosen]} == {
        tuple(box.tolist()) for box in boxes[0, :2]
    }
    large = chosen & (found.boxes[0] == boxes[0, 0]).all(-1)
    centers = points.centers[large]
    assert ((centers > boxes[0, 0, :2]) & (centers < boxes[0, 0, 2:])).all()
    best = pairwise_overlaps(boxes, said)[0, 0, large].max()
    torch.testing.assert_close(found.weights[0][large].max(), best)
    assert found.scores[0, :, 1].max() == 0
    torch.testing.assert_close(found.scores[0].sum(-1), found.weights[0])


def test_a_picture_without_objects_teaches_that_nothing_is_there():
    points = Points.of(SIZE, CPU)
    lesson = DetectionLesson(
        torch.zeros(1), points, torch.zeros(1, 0, 4), torch.zeros(1, 0, dtype=torch.long), 3
    )
    outputs = torch.zeros(1, len(points.strides), 3 + 4 * STEPS, requires_grad=True)
    lesson.loss(outputs).backward()
    assert (outputs.grad[..., :3] > 0).all()
    assert not outputs.grad[..., 3:].any()


def test_overlaps_are_those_of_the_definition():
    first = torch.tensor([[[0.0, 0.0, 10.0, 10.0]]])
    second = torch.tensor(
        [[[5.0, 0.0, 15.0, 10.0], [20.0, 20.0, 30.0, 30.0], [0.0, 0.0, 10.0, 10.0]]]
    )
    torch.testing.assert_close(
        pairwise_overlaps(first, second), torch.tensor([[[1 / 3, 0.0, 1.0]]])
    )


def test_a_distribution_between_two_whole_numbers_loses_least():
    exact = torch.full((1, 4, STEPS), -20.0)
    exact[..., 2], exact[..., 3] = np.log(0.25), np.log(0.75)
    distances = torch.full((1, 4), 2.75)
    least = -(0.25 * np.log(0.25) + 0.75 * np.log(0.75))
    assert float(distribution_focal_loss(exact.flatten(1), distances)) == pytest.approx(
        least, abs=1e-4
    )
    assert float(distribution_focal_loss(torch.zeros(1, 32), distances)) == pytest.approx(
        np.log(8)
    )


def test_a_student_that_says_the_same_loses_nothing_on_boxes():
    points = Points.of(SIZE, CPU)
    lesson = DetectionLesson(
        torch.zeros(1), points, torch.zeros(1, 0, 4), torch.zeros(1, 0, dtype=torch.long), 3
    )
    answers = _perfect(points, torch.tensor([[20.0, 10.0, 61.0, 44.0]]), 1)
    soft = lesson.soft(answers)
    assert float(lesson.distilled(answers, soft)) < 1e-3
    other = answers.clone()
    other[..., 3:] = 0
    assert float(lesson.distilled(other, soft)) > 0.2


@pytest.mark.parametrize('seed', range(4))
def test_boxes_go_where_their_pictures_go(seed):
    canvases = torch.full((4, 3, 96, 96), 114, dtype=torch.uint8)
    sizes, boxes = torch.tensor([[96.0, 72.0], [64.0, 96.0]] * 2), []
    for index in range(4):
        left, upper = 10 + 6 * index, 8 + 5 * index
        canvases[index, :, upper : upper + 24, left : left + 20] = 0
        canvases[index, 1, upper : upper + 24, left : left + 20] = 255
        boxes.append([[left, upper, left + 20, upper + 24]])
    batch = BoxBatch(canvases, sizes, torch.tensor(boxes).float(), torch.ones(4, 1).long())
    augmentation = BoxAugmentation(flip=0.5, scale=(0.8, 1.4), stretch=1.3, mosaic=0.5)
    images, found, classes = altered(
        batch, SIZE, augmentation, torch.Generator().manual_seed(seed)
    )
    assert images.shape == (4, 3, *SIZE)
    assert (classes >= 0).any()
    for image, its_boxes, its_classes in zip(images, found, classes):
        for left, upper, right, lower in its_boxes[its_classes >= 0].round().int().tolist():
            inside = image[1, upper + 1 : lower - 1, left + 1 : right - 1]
            assert inside.numel() and float(inside.mean()) > 225
    green = (images[:, 1] - images[:, 0] > 200).sum((1, 2))
    areas = ((found[..., 2:] - found[..., :2]).prod(-1) * (classes >= 0)).sum(1)
    assert (green <= areas * 1.3 + 60).all()


def test_an_unaltered_batch_is_its_pictures():
    pixels = torch.randint(0, 256, (1, 3, 64, 64), generator=torch.Generator().manual_seed(0))
    box = torch.tensor([[[4.0, 5.0, 30.0, 40.0]]])
    batch = BoxBatch(
        pixels.to(torch.uint8), torch.tensor([[64.0, 64.0]]), box, torch.zeros(1, 1).long()
    )
    images, boxes, _ = altered(batch, Size(64, 64), BoxAugmentation(), torch.Generator())
    torch.testing.assert_close(images, pixels.float(), atol=1e-2, rtol=0)
    torch.testing.assert_close(boxes, box)


@pytest.mark.parametrize(
    ('transforms', 'message'),
    [
        ([{'Rotate': {}}], 'augmentation.0. is Rotate: for boxes one of Flip'),
        ([{'Flip': {}}, {'Scale': {'angle': 3}}], 'augmentation.1., Scale, has no angle'),
        ([{'Scale': {'range': [0, 1]}}], 'Scale: range is .0, 1.'),
        ([{'Mosaic': {'share': 1.5}}], 'Mosaic: share is 1.5'),
    ],
)
def test_an_augmentation_that_does_not_exist_is_refused(transforms, message):
    with pytest.raises(TrainingConfigurationError, match=message):
        BoxAugmentation.of(transforms)


def test_test_pictures_are_given_once(tmp_path):
    with pytest.raises(TrainingConfigurationError, match='both given'):
        _configuration(tmp_path, test_every=5)
    mapping = detection_mapping(tmp_path)
    del mapping['test_data']
    with pytest.raises(TrainingConfigurationError, match='test_data is missing'):
        TrainingConfiguration.from_mapping(mapping)
    write_boxes(tmp_path / 'data', 9)
    configuration = TrainingConfiguration.from_mapping({**mapping, 'test_every': 4})
    task = DetectionTraining()
    training, test = task.read(configuration, task.preprocessing(configuration), quiet=True)
    assert [name[-7:] for name in test.source.names] == ['003.png', '007.png']
    assert len(training) == 7


def test_a_step_has_one_size():
    space = SuperNetworkSpace(create('ofa_detector', 'ofa_detector_96'))
    generator = random.Random(0)
    sizes = {
        (within['height'], within['width'])
        for within in (space.of_one_size(generator, {'depth': (1,)}) for _ in range(40))
    }
    assert sizes == {((64,), (64,)), ((64,), (96,)), ((96,), (64,)), ((96,), (96,))}


def test_averages_follow_the_weights_and_can_be_taken_back():
    module = torch.nn.Linear(1, 1, bias=False)
    average = AveragedWeights(module, 0.9)
    for value in (1.0, 2.0, 4.0):
        module.weight.data.fill_(value)
        average.update()
    with average.in_place():
        assert 1.0 < float(module.weight.detach()) < 4.0
        assert float(module.weight.detach()) == pytest.approx(3.5, abs=0.2)
    assert float(module.weight.detach()) == 4.0
    other = AveragedWeights(module, 0.9)
    other.load_state(average.state())
    other.put_in_place()
    assert float(module.weight.detach()) == pytest.approx(3.5, abs=0.2)


def test_a_detector_learns_a_few_pictures_by_heart(tmp_path):
    write_boxes(tmp_path / 'data')
    within = {'height': [96], 'width': [96]}
    configuration = _configuration(
        tmp_path,
        phases=[
            {
                'name': 'largest',
                'rule': 'largest',
                'epochs': 120,
                'learning_rate': 4e-3,
                'warm_up': 2,
                'within': within,
            },
            {
                'name': 'all',
                'rule': 'sandwich',
                'epochs': 60,
                'learning_rate': 2e-3,
                'within': within,
            },
        ],
    )
    task = DetectionTraining()
    pictures, _ = task.read(configuration, task.preprocessing(configuration), quiet=True)
    torch.manual_seed(0)
    layout = {**create('ofa_detector', 'ofa_detector_96').layout_mapping(), 'classes': 3}
    network = create('ofa_detector', layout)
    Trainer(SuperNetworkSpace(network), configuration, task=task).train(pictures, quiet=True)
    normalisation = Normalisation(configuration.mean, configuration.standard_deviation)
    for each, least in ((network.largest(within), 0.8), (network.smallest(within), 0.65)):
        module = network.extract(each)
        recalibrate(module, pictures, each.size, normalisation)
        assert accuracy(module, pictures, each.size, normalisation) >= least


def test_a_training_writes_a_bundle_and_continues_where_it_ended(tmp_path):
    write_boxes(tmp_path / 'data')
    configuration = _configuration(tmp_path)
    bundle = train_bundle(configuration, quiet=True)
    manifest = bundle.manifest
    assert manifest.task.name == 'detection'
    assert manifest.labels == LABELS
    sizes = [entry.size for entry in manifest.sub_networks]
    assert sizes == [Size(64, 64), Size(64, 64), Size(96, 96)]
    assert 'AP 50:95' in bundle.other_files['MODEL_CARD.md'].decode()
    weights = bundle.weights().network
    again = train_bundle(_configuration(tmp_path, output=str(tmp_path / 'again')), quiet=True)
    assert all(np.array_equal(again.weights().network[name], weights[name]) for name in weights)
    assert read_bundle(tmp_path / 'again').manifest.sub_networks[2].accuracy == pytest.approx(
        manifest.sub_networks[2].accuracy, abs=0.02
    )
