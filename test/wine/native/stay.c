/* Stays, so that a prefix has a user's process and goes on running. */
#include <windows.h>

int main(void)
{
    Sleep(INFINITE);
    return 0;
}
