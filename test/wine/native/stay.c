/* Stays, so that a prefix has a user's process and goes on running. */
#include <stdio.h>
#include <windows.h>

int main(void)
{
    puts("up");
    fflush(stdout);
    Sleep(INFINITE);
    return 0;
}
