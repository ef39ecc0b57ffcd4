// xbce has no kernel with atomic operations.
#pragma once
