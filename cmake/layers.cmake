# understudy_library(NAME USES a b c [LINKS x y]): the static library of src/NAME with every *.cc in it, and one
# test program NAME_test from every *_test.cc. USES names the folders it may include: tools/tidy reads the same
# line and refuses any other #include edge. LINKS names third-party targets, which are private to the folder.
function(understudy_library name)
  cmake_parse_arguments(arg "" "" "USES;LINKS;TEST_LINKS;TEST_USES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER sources EXCLUDE REGEX "(_test|_main)\\.cc$")
  add_library(us_${name} STATIC ${sources})
  set_target_properties(us_${name} PROPERTIES LINKER_LANGUAGE CXX)
  target_include_directories(us_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
  list(TRANSFORM arg_USES PREPEND us_ OUTPUT_VARIABLE uses)
  target_link_libraries(us_${name} PUBLIC ${uses} PRIVATE ${arg_LINKS} Threads::Threads)
  if(tests)
    list(TRANSFORM arg_TEST_USES PREPEND us_ OUTPUT_VARIABLE test_uses)
    add_executable(${name}_test ${tests})
    target_link_libraries(${name}_test PRIVATE us_${name} ${test_uses} ${arg_LINKS} ${arg_TEST_LINKS}
                          GTest::gmock GTest::gtest_main)
    target_compile_options(${name}_test PRIVATE -O0)  # a third of the time to compile
    add_test(NAME ${name} COMMAND ${name}_test)
    set_tests_properties(${name} PROPERTIES TIMEOUT 900)  # minutes with sanitizers, on a busy machine
  endif()
endfunction()
