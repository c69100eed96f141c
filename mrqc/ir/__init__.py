"""The typed quantized IR: frozen modules of flat statements over tensor types."""

from mrqc.ir.data import Data
from mrqc.ir.dtype import DType
from mrqc.ir.graph import Graph, Module, Output, State, Statement
from mrqc.ir.location import UNKNOWN, Location
from mrqc.ir.op import FieldKind, Op, OpField, Value, op_schema
from mrqc.ir.quantization import Quantization
from mrqc.ir.rewrite import GraphBuilder, rewrite, without_dead_statements
from mrqc.ir.rules import RuleTable
from mrqc.ir.types import FLOAT, Element, TensorType
from mrqc.ir.verify import verify

__all__ = [
    "FLOAT",
    "UNKNOWN",
    "DType",
    "Data",
    "Element",
    "FieldKind",
    "Graph",
    "GraphBuilder",
    "Location",
    "Module",
    "Op",
    "OpField",
    "Output",
    "Quantization",
    "RuleTable",
    "State",
    "Statement",
    "TensorType",
    "Value",
    "op_schema",
    "rewrite",
    "verify",
    "without_dead_statements",
]
