#pragma once

#include <string>

// Backs the in-memory registry of a master by `path`, which all masters of a stack share.
void shareRegistry(const std::string& path);

// Overwrites a function of a class's virtual table (defined in master.cc).
void replaceSlot(const char* vtable, int slot, void* replacement);
