// Kernels of real numbers name complex ones in declarations alone.
#pragma once
template <class T>
class complex;
