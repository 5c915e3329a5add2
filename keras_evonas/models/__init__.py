"""Search spaces of Keras models, and the costs of models."""

from keras_evonas.models.cells import CellNetwork
from keras_evonas.models.conv import ConvNetwork
from keras_evonas.models.dense import DenseNetwork
from keras_evonas.models.evolvable import EvolvableModel
from keras_evonas.models.evolvable import evolvable
from keras_evonas.models.explanation import SpaceExplanation
from keras_evonas.models.explanation import explain_space
from keras_evonas.models.heads import Binary
from keras_evonas.models.heads import Classification
from keras_evonas.models.heads import Head
from keras_evonas.models.heads import MultiLabel
from keras_evonas.models.heads import Regression
from keras_evonas.models.mobile import MobileNetwork
from keras_evonas.models.net2net import Inheritance
from keras_evonas.models.net2net import inherit_weights
from keras_evonas.models.optimizers import tuned_adam
from keras_evonas.models.optimizers import tuned_sgd
from keras_evonas.models.optimizers import tuned_sgd_or_adam
from keras_evonas.models.scaling import CompoundSpace
from keras_evonas.models.scaling import Scalable
from keras_evonas.models.scaling import Scale
from keras_evonas.models.scaling import ScaledNetwork
from keras_evonas.models.scaling import compound_scale
from keras_evonas.models.scaling import compound_space
from keras_evonas.models.scopes import block
from keras_evonas.models.scopes import layer_choice
from keras_evonas.models.scopes import repeated

__all__ = ["Binary", "CellNetwork", "Classification", "CompoundSpace"]
__all__ += ["ConvNetwork", "DenseNetwork", "EvolvableModel", "Head"]
__all__ += ["Inheritance", "MobileNetwork", "MultiLabel", "Regression"]
__all__ += ["Scalable", "Scale", "ScaledNetwork", "SpaceExplanation", "block"]
__all__ += ["compound_scale", "compound_space", "evolvable", "explain_space"]
__all__ += ["inherit_weights", "layer_choice", "repeated", "tuned_adam"]
__all__ += ["tuned_sgd", "tuned_sgd_or_adam"]
